import { hkdfSync } from 'node:crypto'
import type { Request, Response } from 'express'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { z } from 'zod'
import { knownAuthorities, otherAuthority } from '../domain/authorities.js'
import type { ProviderSettings } from '../domain/provider-settings.js'
import type { Config } from '../config.js'
import { cookieValues, setCookie } from '../http/cookies.js'

const flowSchema = z.strictObject({
  authority: z.enum([...knownAuthorities, otherAuthority]),
  /** The provider, if it is one of `OIDC_PROVIDERS`. */
  providerId: z.uuid().optional(),
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  /** Where the browser goes afterwards. */
  next: z.string(),
  /** The session whose user links an identity; null where somebody signs in. */
  linkTo: z.strictObject({ userId: z.uuid(), sessionId: z.uuid() }).nullable(),
  expiresAt: z.number(),
})

/** What is to be known again when a browser comes back from where it signs in. */
export type SignInFlow = z.infer<typeof flowSchema>

/** The provider of a flow: only its own paths see the cookie. */
export type FlowProvider = Pick<ProviderSettings, 'authority' | 'id' | 'path'>

/** What begins a flow, beside its provider. */
type NewFlow = Omit<SignInFlow, 'authority' | 'providerId' | 'expiresAt'>

/** The flows that a browser has under way, kept in a cookie that only the gateway can read or make. */
export interface SignInFlows {
  /** Adds a flow to those of other tabs. */
  begin: (req: Request, res: Response, provider: FlowProvider, flow: NewFlow) => Promise<void>
  /** Returns the flow of a state, if this browser began it with that provider in the last ten minutes. */
  find: (req: Request, provider: FlowProvider, state: string) => Promise<SignInFlow | undefined>
  /** Forgets a flow that has come to its end. */
  finish: (req: Request, res: Response, provider: FlowProvider, state: string) => Promise<void>
}

const lifetimeSeconds = 600
/** Tabs of one browser that sign in at once; the cookie has to stay below 4 KiB. */
const maxFlows = 3
const maxCookieBytes = 3800
/** Cookies of one name that are looked at. */
const mostCookies = 4

const sealingKeyOf = (secret: string) =>
  new Uint8Array(hkdfSync('sha256', Buffer.from(secret, 'utf8'), '', 'mandate-gateway sign-in flows', 32))

type FlowConfig = Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS' | 'COOKIE_SAMESITE' | 'COOKIE_SECURE'>

/** Seals the flows with the first key. */
async function seal([key]: Uint8Array[], flows: SignInFlow[]): Promise<string> {
  if (!key) throw new Error('SECRET_KEY is not set')
  return await new CompactEncrypt(Buffer.from(JSON.stringify(flows)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key)
}

/** Returns the flows that one of the keys has sealed; none for a cookie of somebody else. */
async function unseal(keys: Uint8Array[], sealed: string): Promise<SignInFlow[]> {
  for (const key of keys) {
    try {
      const { plaintext } = await compactDecrypt(sealed, key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      })
      return z.array(flowSchema).parse(JSON.parse(Buffer.from(plaintext).toString()))
    } catch {
      // The other key may have sealed it; else it is not ours.
    }
  }
  return []
}

/** Seals the newest flows, as many as a cookie can hold. Returns an empty text for none. */
async function sealNewest(keys: Uint8Array[], flows: SignInFlow[]): Promise<string> {
  let kept = flows.slice(-maxFlows)
  let sealed = kept.length > 0 ? await seal(keys, kept) : ''
  while (sealed.length > maxCookieBytes && kept.length > 1) {
    kept = kept.slice(1)
    sealed = await seal(keys, kept)
  }
  return sealed
}

/**
 * Returns the flows of browsers, kept in their cookies and sealed with SECRET_KEY. The cookie is Lax, as the
 * browser comes back from another site. Only the provider's own paths see it.
 */
export function signInFlows(config: FlowConfig, now: () => number = Date.now): SignInFlows {
  const keys = () =>
    [config.SECRET_KEY, config.SECRET_KEY_PREVIOUS].filter((secret) => secret !== undefined).map(sealingKeyOf)

  const underWay = async (req: Request, { authority, id }: FlowProvider) => {
    const sealed = cookieValues(req.state.cookieHeader, 'sign_in_flow').slice(0, mostCookies)
    // what another application has set is none of ours
    const flows = (await Promise.all(sealed.map((one) => unseal(keys(), one)))).flat()
    return flows.filter(
      (flow) => flow.authority === authority && (flow.providerId ?? null) === id && flow.expiresAt > now(),
    )
  }

  const keep = async (res: Response, { path }: FlowProvider, flows: SignInFlow[]) => {
    const sealed = await sealNewest(keys(), flows)
    setCookie(res, 'sign_in_flow', sealed, {
      path,
      sameSite: config.COOKIE_SAMESITE === 'none' ? 'none' : 'lax',
      secure: config.COOKIE_SECURE,
      maxAgeSeconds: sealed === '' ? 0 : lifetimeSeconds,
    })
  }

  return {
    begin: async (req, res, provider, flow) => {
      const { authority, id } = provider
      const expiresAt = now() + lifetimeSeconds * 1000
      const begun = { ...flow, authority, ...(id === null ? {} : { providerId: id }), expiresAt }
      await keep(res, provider, [...(await underWay(req, provider)), begun])
    },
    find: async (req, provider, state) =>
      (await underWay(req, provider)).find((flow) => flow.state === state),
    finish: async (req, res, provider, state) =>
      keep(
        res,
        provider,
        (await underWay(req, provider)).filter((flow) => flow.state !== state),
      ),
  }
}
