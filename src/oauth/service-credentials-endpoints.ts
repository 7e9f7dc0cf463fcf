import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { dayMs } from '../domain/time.js'
import { actorOf } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { CommitAndAwaitNodes, CoherentTx, PerformDryRun } from '../coherence/commit-and-await-nodes.js'
import type { Database } from '../database/connect.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { moment } from '../http/endpoint/moment.js'
import { decodePosition, pageFrom, pageOf, pageQuery, positionOf } from '../http/endpoint/page.js'
import { platformAdmins } from '../http/endpoint/policy.js'
import { listCredentials, type CredentialKind } from './service-credential-queries.js'
import {
  addCredential,
  endCredential,
  getCredential,
  lockKnownAccount,
  makeServiceKey,
  makeServiceSecret,
  makeServiceToken,
  type MakeCredential,
} from './service-credentials.js'

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
  keys: TokenKeys
}

/** The longest life of a long-lived token, in days. */
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

/** One kind of credentials: its schemas, and what makes one. */
interface Credentials<Input> {
  kind: CredentialKind
  body: z.ZodType<Input>
  /** The fields that are shown only when one is made. */
  shown: z.ZodRawShape
  make: MakeCredential<Input>
}

type AccountCall = Pick<Call<unknown, unknown>, 'req' | 'params'>

const pathOf = (kind: CredentialKind) => `/admin/service-accounts/:id/${shapes[kind].plural}`

const targetOf = (kind: CredentialKind, call: AccountCall) => ({
  kind,
  accountId: idOf(call),
  admin: { actor: actorOf(call.req), isSysAdmin: call.req.state.principal?.user.isSysAdmin === true },
})

/** Begins the work of an admin, who still must be one. */
async function asAdmin<Result>(
  tx: CoherentTx,
  { req }: AccountCall,
  work: () => Promise<Result>,
): Promise<Result> {
  await beginAsAdmin(tx, req.state.principal?.user, 'platformAdmin')
  return await work()
}

const listEndpoint = ({ database }: Dependencies, kind: CredentialKind): Endpoint =>
  endpoint({
    method: 'get',
    path: pathOf(kind),
    summary: `List the ${shapes[kind].noun}s of a service account, oldest first`,
    access: platformAdmins,
    query: pageQuery,
    answers: { 200: pageOf(shapes[kind].item) },
    handle: async (call) => {
      const { limit, cursor } = call.query
      const rows = await database.transaction(async (tx) => {
        const account = await lockKnownAccount(tx, idOf(call))
        const page = { after: decodePosition(cursor, 2), atMost: limit + 1 }
        return await listCredentials(tx, kind, account.id, page)
      })
      const { items, nextCursor } = pageFrom(rows, limit, (row) => positionOf(row.place, row.id))
      return { status: 200, body: { items: items.map(({ place: _place, ...one }) => one), nextCursor } }
    },
  })

function createEndpoint<Input>(
  { commitAndAwaitNodes }: Dependencies,
  { kind, body, shown, make }: Credentials<Input>,
): Endpoint {
  const { plural, noun, fields } = shapes[kind]
  return endpoint({
    method: 'post',
    path: pathOf(kind),
    summary: `Make a ${noun}${kind === 'key' ? ' known' : '; it is shown this once'}`,
    access: platformAdmins,
    body,
    answers: { 201: z.strictObject({ ...fields, ...shown, coherence: coherenceSchema }) },
    handle: async (call) => {
      const { result, coherence } = await commitAndAwaitNodes((tx) =>
        asAdmin(tx, call, () => addCredential(tx, targetOf(kind, call), make, call.body)),
      )
      const { account, credential } = result
      return {
        status: 201,
        body: { ...credential, coherence },
        headers: { Location: `/admin/service-accounts/${account.id}/${plural}/${credential.id}` },
      }
    },
  })
}

const showEndpoint = ({ database }: Dependencies, kind: CredentialKind): Endpoint =>
  endpoint({
    method: 'get',
    path: `${pathOf(kind)}/:credentialId`,
    summary: `Show a ${shapes[kind].noun}, but for what is secret of it`,
    access: platformAdmins,
    answers: { 200: shapes[kind].item },
    handle: async (call) => {
      const found = await database.transaction(async (tx) =>
        getCredential(tx, kind, await lockKnownAccount(tx, idOf(call)), idOf(call, 'credentialId')),
      )
      return { status: 200, body: found, headers: { ETag: etagOf(found) } }
    },
  })

function deleteEndpoint(
  { commitAndAwaitNodes, performDryRun }: Dependencies,
  kind: CredentialKind,
): Endpoint {
  const remove = (tx: CoherentTx, call: AccountCall) =>
    endCredential(tx, targetOf(kind, call), idOf(call, 'credentialId'), (found) =>
      checkIfMatch(call.req, found),
    )
  return endpoint({
    method: 'delete',
    path: `${pathOf(kind)}/:credentialId`,
    summary:
      kind === 'token'
        ? 'Revoke a long-lived token; when this answers, no node accepts it any more'
        : `Remove a ${shapes[kind].noun}; when this answers, no node accepts it, nor an access token ` +
          'that was given for it',
    access: platformAdmins,
    query: changeQuery,
    answers: {
      200: z.union([
        z.strictObject({ coherence: coherenceSchema }),
        z.strictObject({ dryRun: z.literal(true), tokens: z.strictObject({ count: z.int() }) }),
      ]),
    },
    handle: async (call) => {
      if (call.query.dryRun) {
        const count = await performDryRun((tx) => remove(tx, call))
        return { status: 200, body: { dryRun: true, tokens: { count } } }
      }
      const { coherence } = await commitAndAwaitNodes((tx) => asAdmin(tx, call, () => remove(tx, call)))
      return { status: 200, body: { coherence } }
    },
  })
}

const endpointsOf = <Input>(deps: Dependencies, credentials: Credentials<Input>): Endpoint[] => [
  listEndpoint(deps, credentials.kind),
  createEndpoint(deps, credentials),
  showEndpoint(deps, credentials.kind),
  deleteEndpoint(deps, credentials.kind),
]

/**
 * Returns the endpoints of the credentials of service accounts: several secrets at once, so that they can be
 * exchanged; public keys; long-lived tokens.
 */
export const serviceCredentialEndpoints = (deps: Dependencies): Endpoint[] => [
  ...endpointsOf(deps, {
    kind: 'secret',
    body: newSecret,
    shown: { clientId: z.string(), secret: z.string() },
    make: makeServiceSecret,
  }),
  ...endpointsOf(deps, {
    kind: 'key',
    body: newKey,
    shown: { clientId: z.string() },
    make: makeServiceKey,
  }),
  ...endpointsOf(deps, {
    kind: 'token',
    body: newToken,
    shown: { token: z.string() },
    make: makeServiceToken(deps.keys),
  }),
]
