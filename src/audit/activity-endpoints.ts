import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { daySeconds, hourSeconds } from '../domain/time.js'
import type { Database, Sql } from '../database/connect.js'
import { inMandate } from '../database/mandate.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { moment } from '../http/endpoint/moment.js'
import { mandateAdmins, platformAdmins } from '../http/endpoint/policy.js'
import { countAuditEvents, type EventFilter } from './event-queries.js'
import { mandateChoice } from './event-endpoints.js'

/** Step widths that people can name, in seconds. */
const widths = [
  60,
  300,
  900,
  hourSeconds,
  6 * hourSeconds,
  daySeconds,
  7 * daySeconds,
  30 * daySeconds,
] as const
const mostSteps = 100
const longestMs = 5 * 365 * daySeconds * 1000
/** A Monday, so that weeks begin on Mondays. */
const origin = Date.parse('2000-01-03T00:00:00Z')

/** Actions that record a refusal. */
const refusals = new Set([
  'access_denied',
  'assurance_refused',
  'login_failed',
  'platform_admin_action_refused',
  'refresh_reused',
  'sign_in_refused',
  'sysadmin_action_refused',
])

const activity = z
  .strictObject({
    stepSeconds: z.int(),
    steps: z
      .array(
        z.strictObject({
          at: z.iso.datetime(),
          count: z.int(),
          refused: z.int().meta({ description: 'of these: what was asked for and not given' }),
        }),
      )
      .meta({ description: 'also those without an event' }),
    actions: z.array(z.strictObject({ action: z.string(), count: z.int() })).meta({
      description: 'all actions of that time, also where the steps are of one alone; the most frequent first',
    }),
  })
  .meta({ id: 'AuditActivity' })

const fields = {
  from: moment,
  to: moment.optional(),
  user: z.uuid(fieldError('id_of_user')).optional(),
  action: z.string().min(1).max(200).optional(),
}
interface Asked {
  from: Date
  to?: Date | undefined
  user?: string | undefined
  action?: string | undefined
}

const endOf = ({ to }: Asked) => to ?? new Date()
const isSpan = (asked: Asked) =>
  asked.from < endOf(asked) && endOf(asked).getTime() - asked.from.getTime() <= longestMs
const spanFault = { path: ['from'], ...fieldError('before_to') }

const mandateQuery = z.strictObject(fields).refine(isSpan, spanFault)
const platformQuery = z
  .strictObject({ ...fields, mandate: mandateChoice.optional() })
  .refine(isSpan, spanFault)

async function answerActivity(sql: Sql, asked: Asked, mandateId: string | undefined): Promise<Answer> {
  const [from, to] = [asked.from.getTime(), endOf(asked).getTime()]
  const stepSeconds =
    widths.find((width) => (to - from) / 1000 / width <= mostSteps) ?? widths[widths.length - 1] ?? daySeconds
  const filter: EventFilter = {
    from: asked.from,
    to: new Date(to),
    userId: asked.user?.toLowerCase(),
    mandateId,
  }
  const counted = await countAuditEvents(sql, filter, { stepSeconds, origin: new Date(origin) })
  const actions = new Map<string, number>()
  const steps = new Map<number, { count: number; refused: number }>()
  for (const { at, action, count } of counted) {
    actions.set(action, (actions.get(action) ?? 0) + count)
    if (asked.action !== undefined && asked.action !== action) continue
    const step = steps.get(at.getTime()) ?? { count: 0, refused: 0 }
    steps.set(at.getTime(), {
      count: step.count + count,
      refused: step.refused + (refusals.has(action) ? count : 0),
    })
  }
  const stepMs = stepSeconds * 1000
  const first = origin + Math.floor((from - origin) / stepMs) * stepMs
  const times = Array.from({ length: Math.ceil((to - first) / stepMs) }, (_, n) => first + n * stepMs)
  return {
    status: 200,
    body: {
      stepSeconds,
      steps: times.map((at) => ({ at: new Date(at), ...(steps.get(at) ?? { count: 0, refused: 0 }) })),
      actions: [...actions]
        .map(([action, count]) => ({ action, count }))
        .sort((a, b) => b.count - a.count || (a.action < b.action ? -1 : 1)),
    },
  }
}

/** Endpoints that count audit events over time and by action, for the audit's chart. */
export function auditActivityEndpoints({ database }: { database: Database }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/admin/audit/activity',
      summary:
        'Count events over time, in at most a hundred steps, and by action; in all mandates and across them',
      access: platformAdmins,
      query: platformQuery,
      answers: { 200: activity },
      handle: ({ query }) => answerActivity(database, query, query.mandate?.toLowerCase()),
    }),
    endpoint({
      method: 'get',
      path: '/mandate/audit/activity',
      summary: 'Count the events of this mandate over time, in at most a hundred steps, and by action',
      access: mandateAdmins('gateway.audit'),
      query: mandateQuery,
      answers: { 200: activity },
      handle: ({ req, query }) => {
        const mandateId = req.state.context?.mandateId
        if (!mandateId) throw new Error('an endpoint of a mandate was reached without one')
        return database.transaction((tx) =>
          inMandate(tx, mandateId, (inside) => answerActivity(inside, query, mandateId)),
        )
      },
    }),
  ]
}
