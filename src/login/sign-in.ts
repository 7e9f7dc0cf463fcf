import { recordChange, type Actor } from '../audit/record-change.js'
import type { Presented } from '../authentication/end-queries.js'
import type { Database, Tx } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { findIdentityOwner, linkIdentity, lockLiveSession, useIdentity } from './identity-queries.js'
import type { IssuedTokens, Login, Origin } from './issue-token.js'
import { flowUnknown } from './sign-in-errors.js'
import type { SignInFlow } from './sign-in-flow.js'
import type { Identity, SignInProvider } from './sign-in-provider.js'

interface Dependencies {
  database: Database
  issueTokens: (login: Login) => Promise<IssuedTokens>
  /** Writes the rows of the configured providers, which identities refer to. */
  saveProviders: (tx: Tx) => Promise<void>
}

/** An identity that a provider vouched for. */
interface Vouched {
  provider: SignInProvider
  identity: Identity
}

/**
 * Signs in the user who has linked the identity. Returns their tokens. Throws `identity_unknown` or
 * `user_disabled`.
 */
export async function signInByIdentity(
  { database, issueTokens }: Dependencies,
  { provider, identity }: Vouched,
  { origin, replaces }: { origin: Origin; replaces: Presented },
): Promise<IssuedTokens> {
  const owner = await findIdentityOwner(database, provider, identity)
  if (!owner) {
    throw new GatewayError(
      'identity_unknown',
      `This ${provider.label} account is linked to nobody here. Sign in with your password and link it at /auth/identities; without a password ask an admin for a link to set one.`,
    )
  }
  if (!owner.enabled) throw new GatewayError('user_disabled', 'User is disabled')
  return await issueTokens({
    user: owner,
    authority: provider.authority,
    providerId: provider.id,
    replaces,
    stillHolds: (tx) => useIdentity(tx, owner),
    ...origin,
  })
}

/**
 * Links the identity to the user who began the flow, if their session still goes on. Throws `sign_in_invalid`,
 * or `conflict` where another user has it.
 */
export async function linkToUser(
  { database, saveProviders }: Pick<Dependencies, 'database' | 'saveProviders'>,
  { provider, identity }: Vouched,
  { actor, linkTo }: { actor: Actor; linkTo: NonNullable<SignInFlow['linkTo']> },
): Promise<void> {
  const { authority, id: providerId, label } = provider
  await database.transaction(async (tx) => {
    if (!(await lockLiveSession(tx, linkTo))) throw flowUnknown()
    if (providerId !== null) await saveProviders(tx)
    const linked = await linkIdentity(tx, linkTo.userId, provider, identity)
    if (linked.userId !== linkTo.userId)
      throw new GatewayError('conflict', reason('identity_taken', { provider: label }))
    if (!linked.isNew) return
    await recordChange(tx, {
      actor: { ...actor, userId: linkTo.userId },
      mandateId: 'system',
      action: 'identity_linked',
      subject: `user:${linkTo.userId}`,
      after: { identity: linked.id, authority, ...(providerId === null ? {} : { providerId }) },
    })
  })
}
