import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import type { Database, Sql } from '../database/connect.js'
import { inMandate } from '../database/mandate.js'
import { faultAt, GatewayError } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { moment } from '../http/endpoint/moment.js'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../http/endpoint/page.js'
import { mandateAdmins, platformAdmins } from '../http/endpoint/policy.js'
import { listAuditEvents, type EventFilter, type EventPosition, type ListedEvent } from './event-queries.js'
import { withoutMandateData } from './mandate-data.js'

const listedEvent = z
  .strictObject({
    seq: z.int(),
    id: z.uuid(),
    occurredAt: z.iso.datetime(),
    userId: z.uuid().nullable(),
    username: z
      .string()
      .nullable()
      .meta({ description: "the user's name now; null for one who is gone, or whom the caller may not see" }),
    mandateId: z.string().nullable().meta({ description: '`system`, or the id of a mandate' }),
    action: z.string(),
    details: z.record(z.string(), z.unknown()),
    requestId: z.string().nullable(),
    erased: z
      .array(z.string())
      .meta({ description: 'where in the details something about a person was that has been erased' }),
    position: z
      .int()
      .nullable()
      .meta({ description: 'the place in the chain; null as long as the event is not sealed' }),
  })
  .meta({ id: 'AuditEvent' })

/** A mandate's id, or `system`. */
export const mandateChoice = z.union([z.literal('system'), z.uuid()], fieldError('system_or_mandate'))
const filters = {
  ...pageQuery.shape,
  from: moment.optional(),
  to: moment.optional(),
  user: z.uuid(fieldError('id_of_user')).optional(),
  action: z.string().min(1).max(200).optional(),
  requestId: z.string().min(1).max(128).optional(),
  format: z.enum(['json', 'jsonl'], 'must be json or jsonl').optional(),
}
const mandateQuery = z.object(filters)
const platformQuery = z.object({ ...filters, mandate: mandateChoice.optional() })

type Filters = z.infer<typeof mandateQuery>

/** Reads a page of the list. */
type ReadPage = (
  filter: EventFilter,
  page: { after: EventPosition | undefined; atMost: number },
) => ReturnType<typeof listAuditEvents>

const exportPage = 500

const filterOf = ({ from, to, user, action, requestId }: Filters): EventFilter => ({
  from,
  to,
  userId: user?.toLowerCase(),
  action,
  requestId,
})

function positionOf(cursor: string | undefined): EventPosition | undefined {
  const [at, seq, ...rest] = decodeCursor(cursor)?.split('|') ?? []
  if (at === undefined) return undefined
  if (
    seq === undefined ||
    rest.length > 0 ||
    !/^\d{1,18}$/.test(seq) ||
    !/^(-?infinity|[\d :.+-]{10,40}( BC)?)$/.test(at)
  ) {
    throw new GatewayError('validation_failed', 'The query is not valid', {
      errors: [faultAt('cursor', reason('cursor'))],
    })
  }
  return { at, seq }
}

const wantsLines = ({ req, query }: Call<unknown, Filters>) =>
  query.format === 'jsonl' ||
  (query.format === undefined && /^application\/(x-ndjson|jsonl)\b/i.test(req.headers.accept ?? ''))

/**
 * Yields all events after a position, one line each, as fast as the client reads. It decides again before
 * each page.
 */
async function* linesOf(
  read: ReadPage,
  filter: EventFilter,
  from: EventPosition | undefined,
  decideAgain: () => Promise<void>,
  show: (event: ListedEvent) => ListedEvent,
): AsyncGenerator<string> {
  for (let after = from; ;) {
    await decideAgain()
    const page = await read(filter, { after, atMost: exportPage })
    if (page.length > 0) yield page.map(({ event }) => `${JSON.stringify(show(event))}\n`).join('')
    if (page.length < exportPage) return
    after = page.at(-1)?.position
  }
}

/** Responds with a page, or, with `format=jsonl`, with everything after the cursor. */
async function answerEvents(
  call: Call<unknown, Filters>,
  filter: EventFilter,
  read: ReadPage,
  show: (event: ListedEvent) => ListedEvent = (event) => event,
): Promise<Answer> {
  const { limit, cursor } = call.query
  const after = positionOf(cursor)
  if (wantsLines(call))
    return {
      status: 200,
      lines: { type: 'application/x-ndjson', content: linesOf(read, filter, after, call.decideAgain, show) },
    }
  const page = await read(filter, { after, atMost: limit + 1 })
  const items = page.slice(0, limit)
  const last = items.at(-1)?.position
  return {
    status: 200,
    body: {
      items: items.map(({ event }) => show(event)),
      nextCursor: page.length > limit && last ? encodeCursor(`${last.at}|${last.seq}`) : null,
    },
  }
}

const asLines =
  'Newest first; with `?format=jsonl` (or `Accept: application/x-ndjson`) all of them as JSON lines'

/** Endpoints that list the audit: for platform admins, and for one mandate. */
export function auditEventEndpoints({ database }: { database: Database }): Endpoint[] {
  const readAs =
    (sql: Sql): ReadPage =>
    (filter, page) =>
      listAuditEvents(sql, filter, page)
  return [
    endpoint({
      method: 'get',
      path: '/admin/audit',
      summary: `Who did what, in all mandates and across them. ${asLines}`,
      access: platformAdmins,
      query: platformQuery,
      answers: { 200: pageOf(listedEvent) },
      handle: (call) =>
        answerEvents(
          call,
          { ...filterOf(call.query), mandateId: call.query.mandate?.toLowerCase() },
          readAs(database),
          withoutMandateData,
        ),
    }),
    endpoint({
      method: 'get',
      path: '/mandate/audit',
      summary: `Who did what in this mandate. ${asLines}`,
      access: mandateAdmins('gateway.audit'),
      query: mandateQuery,
      answers: { 200: pageOf(listedEvent) },
      handle: (call) => {
        const mandateId = call.req.state.context?.mandateId
        if (!mandateId) throw new Error('an endpoint of a mandate was reached without one')
        return answerEvents(call, { ...filterOf(call.query), mandateId }, (filter, page) =>
          database.transaction((tx) =>
            inMandate(tx, mandateId, (inside) => listAuditEvents(inside, filter, page)),
          ),
        )
      },
    }),
  ]
}
