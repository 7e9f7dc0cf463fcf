import { fieldError, reason } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { dayMs } from '../domain/time.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { CommitAndAwaitNodes, CoherentTx, PerformDryRun } from '../coherence/commit-and-await-nodes.js'
import type { Database, Tx } from '../database/connect.js'
import { faultAt, GatewayError, notFound } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { moment } from '../http/endpoint/moment.js'
import { decodePosition, pageFrom, pageOf, pageQuery, positionOf } from '../http/endpoint/page.js'
import { platformAdmins } from '../http/endpoint/policy.js'
import { readPublicKey } from './client-assertion.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import {
  findCredential,
  insertSecret,
  insertServiceKey,
  listCredentials,
  lockServiceAccount,
  removeCredential,
  type CredentialKind,
  type ServiceAccount,
} from './service-credential-queries.js'
import { makeApiToken } from './service-tokens.js'

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
  keys: TokenKeys
}

/** Longer than any access token counts. */
const longestTokenDays = 400

const label = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, fieldError('one_line'))
const future = moment.refine((value) => value.getTime() > Date.now(), fieldError('future'))
const newSecret = z.strictObject({ label, expiresAt: future.nullable().optional() })
const newKey = z.strictObject({
  label,
  publicJwk: z.record(z.string(), z.unknown()).meta({
    description: 'RFC 7517: EC P-256, OKP Ed25519, or RSA of 2048 bits and more; without its private part',
  }),
  expiresAt: future.nullable().optional(),
})
const newToken = z.strictObject({
  label,
  expiresAt: future.refine(
    (value) => value.getTime() <= Date.now() + longestTokenDays * dayMs,
    fieldError('within_days', { max: longestTokenDays }),
  ),
})

const listed = {
  id: z.uuid(),
  label: z.string(),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable(),
  expiresAt: z.iso.datetime().nullable(),
  createdBy: z.uuid().nullable().meta({ description: 'the admin who made it; null: the command line' }),
}
const changeQuery = z.strictObject({
  dryRun: z
    .enum(['0', '1', 'true', 'false'], 'must be 1 or 0')
    .default('0')
    .transform((value) => value === '1' || value === 'true'),
})

const shapes: Record<
  CredentialKind,
  { plural: string; noun: string; item: z.ZodType; fields: z.ZodRawShape }
> = {
  secret: {
    plural: 'secrets',
    noun: 'secret',
    item: z.strictObject(listed).meta({ id: 'ServiceSecret' }),
    fields: listed,
  },
  key: {
    plural: 'keys',
    noun: 'public key',
    item: z.strictObject({ ...listed, kid: z.string(), algorithm: z.string() }).meta({ id: 'ServiceKey' }),
    fields: { ...listed, kid: z.string(), algorithm: z.string() },
  },
  token: {
    plural: 'tokens',
    noun: 'long-lived token',
    item: z.strictObject(listed).meta({ id: 'ApiToken' }),
    fields: listed,
  },
}

type AccountCall = Pick<Call<unknown, unknown>, 'req' | 'params'>

async function seenAccount(tx: Tx, call: AccountCall): Promise<ServiceAccount> {
  const account = await lockServiceAccount(tx, idOf(call))
  if (!account) throw notFound()
  return account
}

/** Locks the account. What a SysAdmin is let in by is for SysAdmins to change. */
async function accountFor(tx: Tx, call: AccountCall): Promise<ServiceAccount> {
  const account = await seenAccount(tx, call)
  if (account.isSysAdmin && call.req.state.principal?.user.isSysAdmin !== true)
    throw new GatewayError('sysadmin_required', reason('sysadmins_only'))
  return account
}

/** What is made, and what is shown of it this once. */
interface Made {
  id: string
  shown: object
}

type Make<Body> = (
  tx: CoherentTx,
  account: ServiceAccount,
  body: Body,
  createdBy: string | null,
) => Promise<Made>

const makeServiceSecret: Make<z.infer<typeof newSecret>> = async (
  tx,
  { id: userId, username },
  { label: name, expiresAt = null },
  createdBy,
) => {
  const secret = makeSecret()
  return {
    id: await insertSecret(tx, { userId, label: name, secretHash: hashSecret(secret), expiresAt, createdBy }),
    shown: { clientId: username, secret },
  }
}

const makeServiceKey: Make<z.infer<typeof newKey>> = async (
  tx,
  { id: userId, username },
  { label: name, publicJwk, expiresAt = null },
  createdBy,
) => {
  const key = await readPublicKey(publicJwk)
  if (!key)
    throw new GatewayError('validation_failed', 'The body is not valid', {
      errors: [faultAt('publicJwk', reason('public_key'))],
    })
  return {
    id: await insertServiceKey(tx, { userId, label: name, ...key, expiresAt, createdBy }),
    shown: { clientId: username },
  }
}

const makeServiceToken =
  (keys: TokenKeys): Make<z.infer<typeof newToken>> =>
  async (tx, user, { label: name, expiresAt }, createdBy) => {
    const { id, token } = await makeApiToken(tx, keys, {
      user,
      label: name,
      createdBy,
      expiresAt: new Date(Math.floor(expiresAt.getTime() / 1000) * 1000),
    })
    return { id, shown: { token } }
  }

/** The list, one, a new one, and the end of one of an account's credentials of one kind. */
function endpointsOf<Body>(
  { database, commitAndAwaitNodes, performDryRun }: Dependencies,
  kind: CredentialKind,
  body: z.ZodType<Body>,
  shown: z.ZodRawShape,
  make: Make<Body>,
): Endpoint[] {
  const { plural, noun, item, fields } = shapes[kind]
  const path = `/admin/service-accounts/:id/${plural}`
  const record = (
    tx: Tx,
    req: Request,
    account: ServiceAccount,
    action: string,
    change: { before?: object; after?: object },
  ) =>
    recordChange(tx, {
      actor: actorOf(req),
      mandateId: 'system',
      action,
      subject: `user:${account.id}`,
      ...change,
    })
  const find = async (tx: Tx, account: ServiceAccount, id: string) => {
    const found = await findCredential(tx, kind, account.id, id)
    if (!found) throw notFound()
    return found
  }
  const create = async (tx: CoherentTx, call: Call<Body, unknown>) => {
    const account = await accountFor(tx, call)
    const made = await make(tx, account, call.body, actorOf(call.req).userId)
    const found = await find(tx, account, made.id)
    await record(tx, call.req, account, `service_${kind}_made`, { after: found })
    return { account, body: { ...found, ...made.shown } }
  }
  const remove = async (tx: CoherentTx, call: Call<unknown, unknown>) => {
    const account = await accountFor(tx, call)
    const found = await find(tx, account, idOf(call, 'credentialId'))
    checkIfMatch(call.req, found)
    const revoked = await removeCredential(tx, kind, account.id, found.id)
    await record(tx, call.req, account, `service_${kind}_revoked`, { before: found })
    return revoked
  }

  const asAdmin = async <Result>(
    tx: CoherentTx,
    { req }: Pick<Call<unknown, unknown>, 'req'>,
    work: () => Promise<Result>,
  ) => {
    await beginAsAdmin(tx, req.state.principal?.user, 'platformAdmin')
    return await work()
  }

  return [
    endpoint({
      method: 'get',
      path,
      summary: `List the ${noun}s of a service account, oldest first`,
      access: platformAdmins,
      query: pageQuery,
      answers: { 200: pageOf(item) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        const rows = await database.transaction(async (tx) => {
          const account = await seenAccount(tx, call)
          return await listCredentials(tx, kind, account.id, {
            after: decodePosition(cursor, 2),
            atMost: limit + 1,
          })
        })
        const { items, nextCursor } = pageFrom(rows, limit, (row) => positionOf(row.place, row.id))
        return { status: 200, body: { items: items.map(({ place: _place, ...one }) => one), nextCursor } }
      },
    }),
    endpoint({
      method: 'post',
      path,
      summary: `Make a ${noun}${kind === 'key' ? ' known' : '; it is shown this once'}`,
      access: platformAdmins,
      body,
      answers: { 201: z.strictObject({ ...fields, ...shown, coherence: coherenceSchema }) },
      handle: async (call) => {
        const { result, coherence } = await commitAndAwaitNodes((tx) =>
          asAdmin(tx, call, () => create(tx, call)),
        )
        const { account, body: made } = result
        return {
          status: 201,
          body: { ...made, coherence },
          headers: { Location: `/admin/service-accounts/${account.id}/${plural}/${made.id}` },
        }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:credentialId`,
      summary: `Show a ${noun}, but for what is secret of it`,
      access: platformAdmins,
      answers: { 200: item },
      handle: async (call) => {
        const found = await database.transaction(async (tx) =>
          find(tx, await seenAccount(tx, call), idOf(call, 'credentialId')),
        )
        return { status: 200, body: found, headers: { ETag: etagOf(found) } }
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:credentialId`,
      summary:
        kind === 'token'
          ? 'Revoke a long-lived token; when this answers, no node accepts it any more'
          : `Remove a ${noun}; when this answers, no node accepts it, nor an access token that was given for it`,
      access: platformAdmins,
      query: changeQuery,
      answers: {
        200: z.union([
          z.strictObject({ coherence: coherenceSchema }),
          z.strictObject({ dryRun: z.literal(true), tokens: z.strictObject({ count: z.int() }) }),
        ]),
      },
      handle: async (call) => {
        if (call.query.dryRun)
          return {
            status: 200,
            body: { dryRun: true, tokens: { count: await performDryRun((tx) => remove(tx, call)) } },
          }
        const { coherence } = await commitAndAwaitNodes((tx) => asAdmin(tx, call, () => remove(tx, call)))
        return { status: 200, body: { coherence } }
      },
    }),
  ]
}

/**
 * What service accounts show who they are by: several secrets at once, so that they can be exchanged; public
 * keys; long-lived tokens.
 */
export function serviceCredentialEndpoints(deps: Dependencies): Endpoint[] {
  return [
    ...endpointsOf(
      deps,
      'secret',
      newSecret,
      { clientId: z.string(), secret: z.string() },
      makeServiceSecret,
    ),
    ...endpointsOf(deps, 'key', newKey, { clientId: z.string() }, makeServiceKey),
    ...endpointsOf(deps, 'token', newToken, { token: z.string() }, makeServiceToken(deps.keys)),
  ]
}
