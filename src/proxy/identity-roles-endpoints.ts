import { createLocalJWKSet, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Directory } from '../coherence/directory.js'
import { enterPlace } from '../context/resolve-context.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import type { IdentityKeys } from './identity-keys.js'

const question = z.strictObject({
  identity: z.string().min(1).max(8192).meta({ description: 'the value of X-Gateway-Identity' }),
})
const answer = z.strictObject({ roleIds: z.array(z.uuid()) }).meta({ id: 'IdentityRoles' })

/** The claims of a user's identity about mandate and instance. */
const claims = z.object({
  sub: z.string(),
  userId: z.uuid(),
  mandateId: z.uuid().optional(),
  instanceId: z.uuid().optional(),
  roleIdsDigest: z.string(),
  isSysAdmin: z.boolean().default(false),
  isPlatformAdmin: z.boolean().default(false),
})

interface Dependencies {
  keys: Pick<IdentityKeys, 'jwks'>
  directory: Pick<Directory, 'placement' | 'rules'>
}

/**
 * Returns the claims of an identity that this gateway has signed with a digest of its roles. Throws
 * `token_invalid`.
 */
async function readIdentity(
  keys: Pick<IdentityKeys, 'jwks'>,
  identity: string,
): Promise<z.infer<typeof claims>> {
  const set = keys.jwks()
  if (set.keys.length === 0)
    throw new GatewayError('directory_unavailable', 'The gateway has no keys yet. Try again shortly.')
  try {
    const { payload } = await jwtVerify(identity, createLocalJWKSet(set), {
      algorithms: ['EdDSA'],
      typ: 'gateway-identity+jwt',
      issuer: 'mandate-gateway',
      requiredClaims: ['exp', 'aud'],
    })
    return claims.parse(payload)
  } catch (error) {
    throw new GatewayError(
      'token_invalid',
      'This is no identity with a roleIdsDigest that is good now: send the X-Gateway-Identity of the request at hand',
      { cause: error },
    )
  }
}

/**
 * `POST /auth/identity/roles`: responds to services with the roles of an identity that holds only their
 * digest. Every holder of the identity may ask, because it says everything else about the caller. The roles
 * are the current ones in the identity's context.
 */
export function identityRolesEndpoints({ keys, directory }: Dependencies): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/auth/identity/roles',
      summary: 'The role ids of an X-Gateway-Identity that holds only their digest',
      access: anyone,
      entry: 'discovery',
      body: question,
      answers: { 200: answer },
      handle: async ({ body: { identity } }) => {
        const { sub, userId, mandateId, instanceId, isSysAdmin, isPlatformAdmin } = await readIdentity(
          keys,
          identity,
        )
        const user = { id: userId, username: sub, email: null, fullName: null, isSysAdmin, isPlatformAdmin }
        const { roleIds } = await enterPlace(user, { mandateId, instanceId }, directory)
        return { status: 200, body: { roleIds } }
      },
    }),
  ]
}
