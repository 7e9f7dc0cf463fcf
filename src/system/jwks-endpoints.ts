import { z } from 'zod'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import type { IdentityKeys } from '../proxy/identity-keys.js'

const keySet = z
  .strictObject({
    keys: z.array(
      z.strictObject({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string(),
        alg: z.literal('EdDSA'),
        use: z.literal('sig'),
      }),
    ),
  })
  .meta({ id: 'JwkSet' })

/** Shorter than a new key is published before it signs. */
const cacheSeconds = 300

/** What upstreams check the header `X-Gateway-Identity` with. */
export function jwksEndpoints({ keys }: { keys: Pick<IdentityKeys, 'jwks'> }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/.well-known/jwks.json',
      summary: 'The public keys of the identities that the gateway sends to upstreams (RFC 7517)',
      access: anyone,
      entry: 'discovery',
      answers: { 200: keySet },
      handle: () => {
        const body = keys.jwks()
        // A set without keys would be remembered as one that knows nobody.
        if (body.keys.length === 0)
          throw new GatewayError('directory_unavailable', 'The gateway has no keys yet. Try again shortly.')
        return { status: 200, body, cacheSeconds }
      },
    }),
  ]
}
