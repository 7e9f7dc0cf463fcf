import { recordChange, type Actor } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Tx } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { faultAt, GatewayError, notFound } from '../errors.js'
import { readPublicKey } from './client-assertion.js'
import {
  findCredential,
  insertSecret,
  insertServiceKey,
  lockServiceAccount,
  removeCredential,
  type Credential,
  type CredentialKind,
  type ServiceAccount,
} from './service-credential-queries.js'
import { makeApiToken } from './service-tokens.js'

/** The admin who changes credentials. */
export interface CredentialAdmin {
  actor: Actor
  isSysAdmin: boolean
}

/** A new credential's id, and the parts that are shown only now. */
export interface MadeCredential {
  id: string
  shown: object
}

/** Makes a credential of one kind. */
export type MakeCredential<Input> = (
  tx: CoherentTx,
  account: ServiceAccount,
  input: Input,
  createdBy: string | null,
) => Promise<MadeCredential>

/** A label, and when the credential ends; without an end it lasts. */
interface NewCredential {
  label: string
  expiresAt?: Date | null | undefined
}

/** Makes a secret of 256 random bits. Only its hash is stored. */
export const makeServiceSecret: MakeCredential<NewCredential> = async (
  tx,
  { id: userId, username },
  { label, expiresAt = null },
  createdBy,
) => {
  const secret = makeSecret()
  return {
    id: await insertSecret(tx, { userId, label, secretHash: hashSecret(secret), expiresAt, createdBy }),
    shown: { clientId: username, secret },
  }
}

/** Stores a public key (RFC 7517). Throws `validation_failed` for a key that is not accepted. */
export const makeServiceKey: MakeCredential<NewCredential & { publicJwk: Record<string, unknown> }> = async (
  tx,
  { id: userId, username },
  { label, publicJwk, expiresAt = null },
  createdBy,
) => {
  const key = await readPublicKey(publicJwk)
  if (!key)
    throw new GatewayError('validation_failed', 'The body is not valid', {
      errors: [faultAt('publicJwk', reason('public_key'))],
    })
  return {
    id: await insertServiceKey(tx, { userId, label, ...key, expiresAt, createdBy }),
    shown: { clientId: username },
  }
}

/** Returns what makes a long-lived token. It ends on a whole second, as tokens do. */
export const makeServiceToken =
  (keys: TokenKeys): MakeCredential<{ label: string; expiresAt: Date }> =>
  async (tx, user, { label, expiresAt }, createdBy) => {
    const wholeSecond = new Date(Math.floor(expiresAt.getTime() / 1000) * 1000)
    const { id, token } = await makeApiToken(tx, keys, { user, label, createdBy, expiresAt: wholeSecond })
    return { id, shown: { token } }
  }

/** Returns the service account with an id, locked. Throws `not_found`. */
export async function lockKnownAccount(tx: Tx, id: string): Promise<ServiceAccount> {
  const account = await lockServiceAccount(tx, id)
  if (!account) throw notFound()
  return account
}

/** Returns the account, locked, for an admin who may change it: only SysAdmins change those of SysAdmins. */
async function lockChangeableAccount(tx: Tx, id: string, admin: CredentialAdmin): Promise<ServiceAccount> {
  const account = await lockKnownAccount(tx, id)
  if (account.isSysAdmin && !admin.isSysAdmin)
    throw new GatewayError('sysadmin_required', reason('sysadmins_only'))
  return account
}

/** Returns a credential of an account. Throws `not_found`. */
export async function getCredential(
  tx: Tx,
  kind: CredentialKind,
  { id: accountId }: ServiceAccount,
  id: string,
): Promise<Credential> {
  const found = await findCredential(tx, kind, accountId, id)
  if (!found) throw notFound()
  return found
}

interface Target {
  kind: CredentialKind
  accountId: string
  admin: CredentialAdmin
}

const recordCredential = (
  tx: Tx,
  { kind, accountId, admin: { actor } }: Target,
  change: 'made' | 'revoked',
  values: { before?: object; after?: object },
) =>
  recordChange(tx, {
    actor,
    mandateId: 'system',
    action: `service_${kind}_${change}`,
    subject: `user:${accountId}`,
    ...values,
  })

/** Makes a credential of an account, and audits it. Returns it, with what is shown only now. */
export async function addCredential<Input>(
  tx: CoherentTx,
  target: Target,
  make: MakeCredential<Input>,
  input: Input,
): Promise<{ account: ServiceAccount; credential: Credential & object }> {
  const account = await lockChangeableAccount(tx, target.accountId, target.admin)
  const made = await make(tx, account, input, target.admin.actor.userId)
  const found = await getCredential(tx, target.kind, account, made.id)
  await recordCredential(tx, target, 'made', { after: found })
  return { account, credential: { ...found, ...made.shown } }
}

/**
 * Removes a credential of an account, and audits it. `checkVersion` throws where it has changed since the
 * caller saw it. Returns how many tokens stop counting.
 */
export async function endCredential(
  tx: CoherentTx,
  target: Target,
  id: string,
  checkVersion: (found: Credential) => void,
): Promise<number> {
  const account = await lockChangeableAccount(tx, target.accountId, target.admin)
  const found = await getCredential(tx, target.kind, account, id)
  checkVersion(found)
  const revoked = await removeCredential(tx, target.kind, account.id, found.id)
  await recordCredential(tx, target, 'revoked', { before: found })
  return revoked
}
