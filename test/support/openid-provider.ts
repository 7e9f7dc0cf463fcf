import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider, type Configuration, type JWK } from 'oidc-provider'
import { sendRequest } from './http-client.js'

/** What the gateway is registered as. */
export const client = { id: 'gateway', secret: 'client-secret-0123456789-abcdefghijkl' }

/** A real OpenID provider on this machine, whose users sign in without being asked. */
export interface OpenIdProvider {
  issuer: string
  /** Registers the gateway's callback. */
  register: (redirectUri: string) => void
  /** Goes through the provider's pages as a browser would; answers where it sends the browser back to. */
  signIn: (authorizationUrl: string, account: string) => Promise<string>
  /** Says whom it signs in from now on, for a browser that goes through its pages. */
  signsIn: (account: string) => void
  /** Paths of requests that it has had. */
  requests: string[]
  /** Stops listening, or listens again: nobody gets an answer meanwhile. */
  pause: () => Promise<void>
  resume: () => Promise<void>
  stop: () => Promise<void>
}

const signingKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  format: 'jwk',
}) as JWK

function configurationFor(
  redirectUri: string,
  authMethod: 'client_secret_basic' | 'client_secret_post',
): Configuration {
  return {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: authMethod,
      },
    ],
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomUUID()] },
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    conformIdTokenClaims: false,
    claims: { openid: ['sub'], email: ['email'] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com` }),
    }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: async ({ oidc: { client: registered, session, provider } }) => {
      const grant = new provider.Grant({ clientId: registered!.clientId, accountId: session!.accountId })
      grant.addOIDCScope('openid email')
      await grant.save()
      return grant
    },
  }
}

/** Starts it on a free port. */
export async function startOpenIdProvider({
  authMethod = 'client_secret_post',
}: { authMethod?: 'client_secret_basic' | 'client_secret_post' } = {}): Promise<OpenIdProvider> {
  let handle: RequestListener = (_req, res) => {
    res.writeHead(503).end()
  }
  const requests: string[] = []
  const server = createServer((req, res) => {
    requests.push((req.url ?? '').split('?')[0] ?? '')
    handle(req, res)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  let account = ''

  const register = (redirectUri: string) => {
    const provider = new Provider(issuer, configurationFor(redirectUri, authMethod))
    const callback = provider.callback()
    handle = (req, res) => {
      if (req.url?.startsWith('/interaction/'))
        void provider.interactionFinished(req, res, { login: { accountId: account } })
      else void callback(req, res)
    }
  }

  const signIn = async (authorizationUrl: string, as: string) => {
    account = as
    const jar = new Map<string, string>()
    for (let url = authorizationUrl; ;) {
      const { pathname, search } = new URL(url)
      const { status, headers, text } = await sendRequest(issuer, pathname + search, {
        headers: { Cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
      })
      for (const line of headers['set-cookie'] ?? []) {
        const [name = '', value = ''] = (line.split(';')[0] ?? '').split(/=(.*)/s)
        jar.set(name, value)
      }
      if (headers.location === undefined) throw new Error(`the provider answered ${status}: ${text}`)
      const next = new URL(headers.location, url)
      if (next.origin !== issuer) return next.href
      url = next.href
    }
  }

  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    issuer,
    register,
    signIn,
    requests,
    signsIn: (as) => {
      account = as
    },
    pause: close,
    resume: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    stop: async () => {
      if (server.listening) await close()
    },
  }
}
