import { answerOf, api, unversioned } from '../api/client'
import type { Coherence } from '../app/session'
import type { components } from '../api/schema'
import type { PageQuery } from '../parts/rows'

export interface Credential {
  id: string
  label: string
  createdAt: string
  lastUsedAt: string | null
  expiresAt: string | null
  kid?: string
  algorithm?: string
}

type Schemas = components['schemas']
export type Kind = 'secrets' | 'publicKeys' | 'apiTokens'

/** The fields of a new credential. */
export interface Wish {
  label: string
  expiresAt: string | null
  publicJwk?: Record<string, unknown>
}

/** The secret to show once, with a command that uses it; undefined for a public key. */
export interface Shown {
  value: string
  usage?: string
  coherence: Coherence
}

export interface Source {
  list: (query: PageQuery) => Promise<{ items: Credential[]; nextCursor: string | null }>
  make: (wish: Wish) => Promise<Shown>
  /** The number of tokens that would end with it. */
  tryRemove: (id: string) => Promise<number>
  remove: (id: string) => Promise<object>
}

type Removal = { coherence: Schemas['Coherence'] } | { dryRun: true; tokens: { count: number } }
const countOf = (answer: Removal) => ('dryRun' in answer ? answer.tokens.count : 0)

const tokenRequest = (clientId: string, secret: string) =>
  [
    `curl ${window.location.origin}/auth/token -d grant_type=client_credentials \\`,
    `  -d client_id=${clientId} -d client_secret=${secret}`,
  ].join('\n')

/** The credentials of a service account, by kind. */
export const credentialsOf = (id: string): Record<Kind, Source> => {
  const one = (credentialId: string, dryRun: '0' | '1') => ({
    params: { path: { id, credentialId }, query: { dryRun } },
  })
  return {
    secrets: {
      list: (query) =>
        answerOf(api.GET('/admin/service-accounts/{id}/secrets', { params: { path: { id }, query } })),
      make: async ({ label, expiresAt }) => {
        const { secret, clientId, coherence } = await answerOf(
          api.POST('/admin/service-accounts/{id}/secrets', {
            params: { path: { id } },
            body: { label, expiresAt },
          }),
        )
        return { value: secret, usage: tokenRequest(clientId, secret), coherence }
      },
      tryRemove: async (credentialId) =>
        countOf(
          await answerOf(
            unversioned.DELETE('/admin/service-accounts/{id}/secrets/{credentialId}', one(credentialId, '1')),
          ),
        ),
      remove: (credentialId) =>
        answerOf(
          unversioned.DELETE('/admin/service-accounts/{id}/secrets/{credentialId}', one(credentialId, '0')),
        ),
    },
    publicKeys: {
      list: (query) =>
        answerOf(api.GET('/admin/service-accounts/{id}/keys', { params: { path: { id }, query } })),
      make: async ({ label, expiresAt, publicJwk = {} }) => {
        const { kid, coherence } = await answerOf(
          api.POST('/admin/service-accounts/{id}/keys', {
            params: { path: { id } },
            body: { label, expiresAt, publicJwk },
          }),
        )
        return { value: kid, coherence }
      },
      tryRemove: async (credentialId) =>
        countOf(
          await answerOf(
            unversioned.DELETE('/admin/service-accounts/{id}/keys/{credentialId}', one(credentialId, '1')),
          ),
        ),
      remove: (credentialId) =>
        answerOf(
          unversioned.DELETE('/admin/service-accounts/{id}/keys/{credentialId}', one(credentialId, '0')),
        ),
    },
    apiTokens: {
      list: (query) =>
        answerOf(api.GET('/admin/service-accounts/{id}/tokens', { params: { path: { id }, query } })),
      make: async ({ label, expiresAt }) => {
        const { token, coherence } = await answerOf(
          api.POST('/admin/service-accounts/{id}/tokens', {
            params: { path: { id } },
            body: { label, expiresAt: expiresAt ?? '' },
          }),
        )
        return {
          value: token,
          usage: `curl -H "Authorization: Bearer ${token}" ${window.location.origin}/auth/me`,
          coherence,
        }
      },
      tryRemove: async (credentialId) =>
        countOf(
          await answerOf(
            unversioned.DELETE('/admin/service-accounts/{id}/tokens/{credentialId}', one(credentialId, '1')),
          ),
        ),
      remove: (credentialId) =>
        answerOf(
          unversioned.DELETE('/admin/service-accounts/{id}/tokens/{credentialId}', one(credentialId, '0')),
        ),
    },
  }
}

/** Makes a key pair in the browser (EC P-256). Returns both keys as JWKs. */
export async function makeKeyPair(): Promise<{ publicJwk: Record<string, unknown>; privateJwk: string }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const [publicJwk, privateJwk] = await Promise.all(
    [pair.publicKey, pair.privateKey].map((key) => crypto.subtle.exportKey('jwk', key)),
  )
  const pick = ({ kty, crv, x, y, d }: JsonWebKey) => ({
    kty,
    crv,
    x,
    y,
    ...(d === undefined ? {} : { d }),
    alg: 'ES256',
  })
  if (!publicJwk || !privateJwk) throw new Error('no key was made')
  return { publicJwk: pick(publicJwk), privateJwk: JSON.stringify(pick(privateJwk), null, 2) }
}
