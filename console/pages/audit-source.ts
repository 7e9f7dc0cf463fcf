import { problemOf, ProblemError } from '../../packages/client/src/index'
import { answerOf, api, gateway } from '../api/client'
import type { Realm } from '../api/realms'
import type { components } from '../api/schema'
import type { PageQuery } from '../parts/rows'

export type AuditEvent = components['schemas']['AuditEvent']

const hour = 60 * 60 * 1000
export const ranges = {
  hour,
  day: 24 * hour,
  week: 7 * 24 * hour,
  month: 30 * 24 * hour,
  year: 365 * 24 * hour,
} as const
export const rangeNames = ['hour', 'day', 'week', 'month', 'year', 'own'] as const
export type Range = (typeof rangeNames)[number]
const longestMs = 5 * ranges.year

/** The filters of the page. */
export interface Filters {
  range: Range
  /** When the page last loaded, in milliseconds: the end of `Last …`. */
  askedAt: number
  /** Values of the date and time fields, in local time. */
  from: string
  to: string
  user: string | null
  mandate: string | null
  action: string | null
  requestId: string | null
}

/** Returns a time as the value of a date and time field. */
export const asField = (time: number) =>
  new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)

/**
 * From when to when; undefined where that makes no sense. Without an end it goes on to whatever happens next.
 */
export function spanOf({ range, askedAt, from, to }: Filters): { from: string; to?: string } | undefined {
  if (range !== 'own') return { from: new Date(askedAt - ranges[range]).toISOString() }
  const [first, last] = [Date.parse(from), Date.parse(to)]
  if (!(first < last) || last - first > longestMs) return undefined
  return { from: new Date(first).toISOString(), to: new Date(last).toISOString() }
}

type Query = Partial<Record<'from' | 'to' | 'user' | 'mandate' | 'action' | 'requestId', string>>

/** Returns the filters as the query of the endpoints. */
export function queryOf(filters: Filters, span: { from: string; to?: string }): Query {
  const { user, mandate, action, requestId } = filters
  return {
    ...(requestId ? { requestId } : span),
    ...(user ? { user } : {}),
    ...(mandate ? { mandate } : {}),
    ...(action ? { action } : {}),
  }
}

export const listEvents = (realm: Realm, { mandate, ...query }: Query, page: PageQuery) =>
  realm === 'platform'
    ? answerOf(
        api.GET('/admin/audit', {
          params: { query: { ...query, ...(mandate ? { mandate } : {}), ...page } },
        }),
      )
    : answerOf(api.GET('/mandate/audit', { params: { query: { ...query, ...page } } }))

export const loadActivity = (realm: Realm, { mandate, requestId: _, from = '', ...query }: Query) =>
  realm === 'platform'
    ? answerOf(
        api.GET('/admin/audit/activity', {
          params: { query: { from, ...query, ...(mandate ? { mandate } : {}) } },
        }),
      )
    : answerOf(api.GET('/mandate/audit/activity', { params: { query: { from, ...query } } }))

/** Returns all events that pass the filters, as the file that the gateway streams. */
export async function exportEvents(realm: Realm, query: Query): Promise<Blob> {
  const level = realm === 'platform' ? 'admin' : 'mandate'
  const parameters = new URLSearchParams({ ...query, format: 'jsonl' })
  const response = await gateway.fetch(`/${level}/audit?${parameters.toString()}`)
  if (!response.ok) throw new ProblemError(await problemOf(response))
  return await response.blob()
}

/** Downloads a file. */
export function saveAs(name: string, content: Blob): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000) // once the browser has it
}

/** How many events there were, step by step, and of which actions. */
export type Activity = Awaited<ReturnType<typeof loadActivity>>
