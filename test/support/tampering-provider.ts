import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { client } from './openid-provider.js'

/** What a provider does otherwise than it should. */
export interface Tampering {
  /** Claims of the ID token beside, or in place of, the right ones; undefined leaves one out. */
  claims?: Record<string, unknown>
  /** Signs with a key that it has not published. */
  foreignKey?: boolean
  /** The algorithm of the signature. The metadata promises it, too. */
  alg?: string
  /** Sent along with the code (RFC 9207). */
  iss?: string
  /** In place of the answer of the token endpoint. */
  token?: { status: number; type: string; body: string }
  /** In place of a code. */
  error?: string
}

/** A provider that says what a test wants it to: over real HTTP, with real signatures. */
export interface TamperingProvider {
  issuer: string
  tamper: (how: Tampering) => void
  /** Answers where an authorization request sends the browser back to. */
  authorize: (authorizationUrl: string) => string
  /** The parameters of the last request for a token. */
  lastTokenRequest: () => URLSearchParams
  stop: () => Promise<void>
}

const makeKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
const [own, foreign] = [makeKeys(), makeKeys()]

async function bodyOf(req: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of req) body += (chunk as Buffer).toString()
  return body
}

/**
 * Starts it; `issuerPath` is the path of its address, and what it says that it is called may be a template of
 * Microsoft's kind.
 */
export async function startTamperingProvider({
  issuerPath = '',
  template,
}: { issuerPath?: string; template?: string } = {}): Promise<TamperingProvider> {
  let how: Tampering = {}
  let origin = ''
  let last = new URLSearchParams()
  /** The nonce of each code that was given. */
  const codes = new Map<string, string>()
  const called = () => origin + (template ?? issuerPath)

  const idToken = async (nonce: string) => {
    const now = Math.floor(Date.now() / 1000)
    const all = {
      iss: called(),
      sub: 'subject-1',
      aud: client.id,
      iat: now,
      exp: now + 300,
      nonce,
      email: 'alice@example.com',
      ...how.claims,
    }
    const claims = Object.fromEntries(Object.entries<unknown>(all).filter(([, value]) => value !== undefined))
    const key: KeyObject = (how.foreignKey ? foreign : own).privateKey
    return await new SignJWT(claims).setProtectedHeader({ alg: how.alg ?? 'RS256', kid: 'key-1' }).sign(key)
  }

  const sendJson = (res: ServerResponse, body: unknown) => {
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }
  const server = createServer((req, res) => {
    void (async () => {
      const path = (req.url ?? '').split('?')[0]
      if (path === `${issuerPath}/.well-known/openid-configuration`) {
        sendJson(res, {
          issuer: called(),
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          jwks_uri: `${origin}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256', 'RS512'],
        })
      } else if (path === '/jwks')
        sendJson(res, {
          keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'key-1', use: 'sig' }],
        })
      else if (path === '/token' && how.token)
        res.writeHead(how.token.status, { 'Content-Type': how.token.type }).end(how.token.body)
      else if (path === '/token') {
        last = new URLSearchParams(await bodyOf(req))
        sendJson(res, {
          access_token: 'provider-access-token',
          token_type: 'Bearer',
          expires_in: 300,
          id_token: await idToken(codes.get(last.get('code') ?? '') ?? ''),
        })
      } else res.writeHead(404).end()
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer: origin + issuerPath,
    tamper: (wanted) => {
      how = wanted
    },
    authorize: (authorizationUrl) => {
      const { searchParams } = new URL(authorizationUrl)
      const code = randomUUID()
      codes.set(code, searchParams.get('nonce') ?? '')
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('state', searchParams.get('state') ?? '')
      if (how.error === undefined) back.searchParams.set('code', code)
      else back.searchParams.set('error', how.error)
      if (how.iss !== undefined) back.searchParams.set('iss', how.iss)
      return back.href
    },
    lastTokenRequest: () => last,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
