import { z } from 'zod'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, positionedPage } from '../http/endpoint/page.js'
import { changeQuery } from './change-endpoints.js'
import { found } from './fields.js'
import { findOpenLink, issuedKinds, listIssued, listOpenLinks } from './issued-queries.js'
import { withdrawAllIssued, withdrawFirstAccess } from './issued.js'
import { listEndpoint, removeEndpoint } from './resource-endpoints.js'
import { platformScope, type AdminScope, type Governing } from './scope.js'

const maker = z.uuid().nullable().meta({ description: 'the admin who issued it; null: the command line' })
const openLink = z
  .strictObject({
    id: z.uuid(),
    userId: z.uuid().meta({ description: 'who sets a password by it' }),
    username: z.string(),
    issuedBy: maker,
    issuedByUsername: z.string().nullable().meta({ description: 'null also where that admin was deleted' }),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: 'OpenFirstAccess' })

const issued = z
  .strictObject({
    kind: z.enum(issuedKinds),
    id: z.uuid(),
    userId: z.uuid().meta({ description: 'whose it is' }),
    username: z.string(),
    label: z.string().nullable(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Issued' })

const counts = { links: z.int(), secrets: z.int(), keys: z.int(), tokens: z.int() }
const listQuery = z.strictObject(pageFields)

const listLinksToPasswords = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path: '/admin/first-access',
    summary:
      'List the links to a first password that still work, newest first, and who issued them; never the links themselves',
    query: listQuery,
    item: openLink,
    list: (sql, { query: { limit, cursor } }) =>
      listOpenLinks(sql, { after: decodePosition(cursor, 2), atMost: limit + 1 }),
    page: positionedPage,
  })

const withdrawLinkToPassword = (scope: AdminScope) =>
  removeEndpoint({
    scope,
    path: '/admin/first-access/:id',
    unversioned: true,
    summary: 'Withdraw a link to a first password',
    remove: async (edit, call) =>
      await withdrawFirstAccess(edit, found(await findOpenLink(edit.tx, idOf(call)))),
  })

const listIssuedBy = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path: '/admin/users/:id/issued',
    summary:
      'List what an admin made and is still good, newest first: links, secrets, keys, tokens and service accounts; also of an admin who was deleted',
    query: listQuery,
    item: issued,
    list: (sql, call) =>
      listIssued(sql, idOf(call), {
        after: decodePosition(call.query.cursor, 2),
        atMost: call.query.limit + 1,
      }),
    page: positionedPage,
  })

const withdrawIssuedBy = ({ access, change }: AdminScope) =>
  endpoint({
    method: 'delete',
    path: '/admin/users/:id/issued',
    unversioned: true,
    summary:
      'Withdraw all links, secrets, keys and tokens that an admin made, for somebody who left; the service accounts stay. Only a SysAdmin withdraws those of SysAdmins',
    access,
    query: changeQuery,
    answers: {
      200: z.union([
        z.strictObject({ ...counts, coherence: coherenceSchema }),
        z.strictObject({ dryRun: z.literal(true), ...counts }),
      ]),
    },
    handle: async (call) => {
      const issuedBy = idOf(call)
      let tried: Awaited<ReturnType<typeof withdrawAllIssued>> | undefined
      const outcome = await change(call, async (edit) => (tried = await withdrawAllIssued(edit, issuedBy)))
      if ('effect' in outcome) return { status: 200, body: { dryRun: true, ...tried } }
      return { status: 200, body: { ...outcome.result, coherence: outcome.coherence } }
    },
  })

/** Returns the endpoints that list and withdraw the credentials that admins issued to others. */
export function issuedEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  return [
    listLinksToPasswords(scope),
    withdrawLinkToPassword(scope),
    listIssuedBy(scope),
    withdrawIssuedBy(scope),
  ]
}
