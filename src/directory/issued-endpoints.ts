import { z } from 'zod'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { answerDeleted, changeQuery, deletedAnswers } from './changes.js'
import { found } from './fields.js'
import {
  deleteLink,
  findOpenLink,
  issuedKinds,
  listIssued,
  listOpenLinks,
  withdrawIssued,
} from './issued-queries.js'
import { platformScope, type Edit, type Governing } from './scope.js'
import { levelOf, refuseForeignSysAdmin } from './users-endpoints.js'

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

/** What admins made by which others are let in: who issued it, and how it is withdrawn. */
export function issuedEndpoints(governing: Governing): Endpoint[] {
  const { access, see, change } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/first-access',
      summary:
        'List the links to a first password that still work, newest first, and who issued them; never the links themselves',
      access,
      query: listQuery,
      answers: { 200: pageOf(openLink) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        const rows = await see(call, (sql) =>
          listOpenLinks(sql, { after: decodePosition(cursor, 2), atMost: limit + 1 }),
        )
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/admin/first-access/:id',
      unversioned: true,
      summary: 'Withdraw a link to a first password',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, record }) => {
            const link = found(await findOpenLink(tx, idOf(call)))
            refuseForeignSysAdmin(levelOf(call.req), link)
            await deleteLink(tx, link.id)
            await record({
              action: 'first_access_withdrawn',
              subject: `user:${link.userId}`,
              before: { issuedBy: link.issuedBy, expiresAt: link.expiresAt },
            })
          }),
        ),
    }),
    endpoint({
      method: 'get',
      path: '/admin/users/:id/issued',
      summary:
        'List what an admin made and is still good, newest first: links, secrets, keys, tokens and service accounts; also of an admin who was deleted',
      access,
      query: listQuery,
      answers: { 200: pageOf(issued) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        const rows = await see(call, (sql) =>
          listIssued(sql, idOf(call), { after: decodePosition(cursor, 2), atMost: limit + 1 }),
        )
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
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
        const by = idOf(call)
        const withdraw = async ({ tx, record }: Pick<Edit, 'tx' | 'record'>) => {
          const withdrawn = await withdrawIssued(tx, by, { alsoOfSysAdmins: levelOf(call.req).isSysAdmin })
          await record({ action: 'issued_withdrawn', subject: `user:${by}`, before: withdrawn })
          return withdrawn
        }
        let tried: Awaited<ReturnType<typeof withdraw>> | undefined
        const outcome = await change(call, async (edit) => (tried = await withdraw(edit)))
        if ('effect' in outcome) return { status: 200, body: { dryRun: true, ...tried } }
        return { status: 200, body: { ...outcome.result, coherence: outcome.coherence } }
      },
    }),
  ]
}
