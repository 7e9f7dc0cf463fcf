import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { dayMs } from '../domain/time.js'
import { csvAnswer, mostCsvRows, wantsCsv } from '../http/endpoint/csv.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
import { id } from './fields.js'
import { platformScope, type AdminScope, type Governing } from './scope.js'
import { listBills, listUsage, sumUsage, type Bill, type DayOfUse } from './usage-queries.js'

const day = z.iso.date(fieldError('day', { example: '2026-11-25' }))
const format = z
  .enum(['json', 'csv'], 'must be json or csv')
  .optional()
  .meta({ description: 'csv: all rows as a table, without pages; as Accept: text/csv' })
const number = z.number()

const counted = {
  requests: number.meta({ description: 'all that were decided' }),
  denials: number.meta({ description: 'those of them that were refused' }),
}
const dayOfUse = z
  .strictObject({
    day: z.string(),
    mandateId: z.uuid(),
    slug: z.string().nullable().meta({ description: 'null: the mandate is gone' }),
    ...counted,
  })
  .meta({ id: 'DayOfUse' })
const dayOfAll = z.strictObject({ day: z.string(), ...counted }).meta({ id: 'DayOfAll' })

const limit = number.nullable().meta({ description: 'null: no limit' })
const bill = z
  .strictObject({
    month: z.string(),
    mandateId: z.uuid(),
    slug: z.string().nullable().meta({ description: 'null: the mandate is gone' }),
    label: z.string().nullable(),
    plan: z.string().nullable(),
    requests: number.meta({ description: 'that were served' }),
    requestsQuota: limit,
    requestsOver: number,
    denials: number,
    members: z.int().meta({ description: 'now' }),
    membersQuota: limit,
    instances: z.int().meta({ description: 'now' }),
    instancesQuota: limit,
  })
  .meta({ id: 'Bill' })

const usageQuery = z.strictObject({
  ...pageFields,
  mandateId: id.optional(),
  from: day.optional(),
  to: day.optional(),
  format,
})

const mostDays = 366
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
const daysQuery = z
  .strictObject({
    mandateId: id.optional(),
    from: day.optional().meta({ description: 'by default 29 days before to' }),
    to: day.optional().meta({ description: 'by default today (UTC)' }),
  })
  .transform(({ mandateId, to = dayOf(Date.now()), from = dayOf(Date.parse(to) - 29 * dayMs) }) => ({
    mandateId,
    from,
    to,
  }))
  .refine(({ from, to }) => from <= to && Date.parse(to) - Date.parse(from) < mostDays * dayMs, {
    path: ['from'],
    ...fieldError('days_before_to', { max: mostDays - 1 }),
  })
const billQuery = z.strictObject({
  ...pageFields,
  month: z
    .string()
    .regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, fieldError('month', { example: '2026-11' }))
    .optional()
    .meta({ description: 'by default the running one (UTC)' }),
  mandateId: id.optional(),
  format,
})

const dayColumns = ['day', 'mandateId', 'slug', 'requests', 'denials'] as const satisfies (keyof DayOfUse)[]
const billColumns = [
  'month',
  'mandateId',
  'slug',
  'label',
  'plan',
  'requests',
  'requestsQuota',
  'requestsOver',
  'denials',
  'members',
  'membersQuota',
  'instances',
  'instancesQuota',
] as const satisfies (keyof Bill)[]

/** The number of rows to ask for: one more than the response holds. */
const atMostOf = (asTable: boolean, limit: number) => (asTable ? mostCsvRows : limit) + 1

function listDays({ access, see }: AdminScope): Endpoint {
  return endpoint({
    method: 'get',
    path: '/admin/usage',
    summary: 'Requests and denials by mandate and day (UTC), the latest first; JSON or CSV',
    access,
    query: usageQuery,
    answers: { 200: pageOf(dayOfUse) },
    handle: async (call): Promise<Answer> => {
      const { limit: size, cursor, mandateId, from, to, format: wanted } = call.query
      const asTable = wantsCsv(call.req, wanted)
      const rows = await see(call, (sql) =>
        listUsage(sql, {
          mandateId,
          from,
          to,
          after: decodePosition(cursor, 2),
          atMost: atMostOf(asTable, size),
        }),
      )
      return asTable
        ? csvAnswer('usage', dayColumns, rows)
        : { status: 200, body: pageFrom(rows, size, (one) => positionOf(one.day, one.mandateId)) }
    },
  })
}

const sumDays = ({ access, see }: AdminScope) =>
  endpoint({
    method: 'get',
    path: '/admin/usage/days',
    summary:
      'Requests and denials of all mandates, or of one, by day (UTC): each day of a time, the earliest first',
    access,
    query: daysQuery,
    answers: { 200: z.strictObject({ items: z.array(dayOfAll), nextCursor: z.null() }) },
    handle: async (call) => ({
      status: 200,
      body: { items: await see(call, (sql) => sumUsage(sql, call.query)), nextCursor: null },
    }),
  })

const thisMonth = () => new Date().toISOString().slice(0, 7)

function listMonths({ access, see }: AdminScope): Endpoint {
  return endpoint({
    method: 'get',
    path: '/admin/billing',
    summary: 'Use against quota by mandate, in a month; JSON or CSV',
    access,
    query: billQuery,
    answers: { 200: pageOf(bill) },
    handle: async (call): Promise<Answer> => {
      const { limit: size, cursor, mandateId, format: wanted, month = thisMonth() } = call.query
      const asTable = wantsCsv(call.req, wanted)
      const rows = await see(call, (sql) =>
        listBills(sql, month, {
          mandateId,
          after: decodePosition(cursor, 1)?.[0],
          atMost: atMostOf(asTable, size),
        }),
      )
      return asTable
        ? csvAnswer(`billing-${month}`, billColumns, rows)
        : { status: 200, body: pageFrom(rows, size, (one) => positionOf(one.mandateId)) }
    },
  })
}

/** Returns the endpoints that show how much mandates are used, against their quotas. */
export function usageEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  return [listDays(scope), sumDays(scope), listMonths(scope)]
}
