import { z } from 'zod'
import { sourceFirst } from '../domain/languages.js'
import { ruleContexts } from '../domain/permissions.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { mandateSources, sysAdmins } from '../http/endpoint/policy.js'
import { disclosedParts } from '../proxy/caller-headers.js'
import { ruleNames } from '../proxy/header-rules.js'
import type { LiveRoutes } from '../proxy/live-routes.js'
import { limitedBy } from '../proxy/route-schema.js'
import type { Route, RouteTable } from '../proxy/route-table.js'

const place = z.enum(['required', 'optional', 'none'])
const target = z.strictObject({
  address: z.string(),
  healthy: z.boolean(),
  state: z
    .enum(['closed', 'open', 'half-open'])
    .meta({ description: 'of its circuit: open, it is sent no requests' }),
  running: z.int().meta({ description: 'requests that wait for their answer' }),
  streams: z.int().meta({ description: 'answers that go on, WebSockets included' }),
})
const names = z.array(z.string())
const headers = z
  .strictObject({ set: names, removed: names })
  .nullable()
  .meta({ description: 'names alone, those of the upstream included; null: no rules' })
const route = z
  .strictObject({
    prefix: z.string(),
    name: z.string().meta({ description: 'the prefix, behind the host where it has one' }),
    upstream: z.string(),
    host: names.nullable().meta({ description: 'null: every host' }),
    strip: z.boolean(),
    rewrite: z.string().nullable(),
    preserveHost: z.boolean(),
    auth: z.enum(['required', 'optional', 'public', 'portal']),
    credentials: z.enum(['strip', 'pass']).meta({
      description: 'pass: the service gets the caller’s Authorization and login cookies, and may set these',
    }),
    decide: z
      .enum(['enforce', 'watch'])
      .meta({ description: 'watch: nothing is enforced; what would be answered is noted' }),
    mandate: place,
    instance: place,
    mandateFrom: z.array(z.enum(mandateSources)),
    guard: z.enum(['sysAdmin', 'platformAdmin']).nullable(),
    permission: z.strictObject({ context: z.enum(ruleContexts), item: z.string() }).nullable(),
    rateLimit: z.strictObject({ requests: z.int(), windowMs: z.int(), by: z.enum(limitedBy) }).nullable(),
    concurrency: z.strictObject({ limit: z.int(), by: z.enum([...limitedBy, 'route']) }).nullable(),
    timeoutMs: z.int().nullable(),
    bodyLimit: z.int().nullable(),
    tell: z
      .array(z.enum(disclosedParts))
      .nullable()
      .meta({ description: 'what the service is told of the caller; null: everything' }),
    addresses: names.nullable().meta({ description: 'client addresses that may come; null: all' }),
    requestHeaders: headers,
    responseHeaders: headers,
    exposeHeaders: names.nullable(),
    title: z.strictObject(Object.fromEntries(sourceFirst.map((one) => [one, z.string()]))).nullable(),
    targets: z.array(target),
  })
  .meta({ id: 'LiveRoute' })

/**
 * Returns all that a route file may say of a route. A field that is added there and not here does not
 * compile.
 */
function shownOf(one: Route, { upstreams }: RouteTable) {
  const shared = upstreams[one.upstream]
  return {
    prefix: one.prefix,
    name: one.name,
    upstream: one.upstream,
    host: one.host ?? null,
    strip: one.strip,
    rewrite: one.rewrite ?? null,
    preserveHost: one.preserveHost,
    auth: one.auth,
    credentials: one.credentials,
    decide: one.decide,
    mandate: one.mandate,
    instance: one.instance,
    mandateFrom: one.mandateFrom ?? ['header'],
    guard: one.guard ?? null,
    permission: one.permission ?? null,
    assurance: one.assurance ?? null,
    rateLimit: one.rateLimit ? { ...one.rateLimit.limit, by: one.rateLimit.by } : null,
    concurrency: one.concurrency ?? null,
    timeoutMs: one.timeoutMs ?? null,
    bodyLimit: one.bodyLimit ?? null,
    tell: one.tell ?? null,
    addresses: one.addresses ?? null,
    requestHeaders: ruleNames(shared?.requestHeaders, one.requestHeaders) ?? null,
    responseHeaders: ruleNames(shared?.responseHeaders, one.responseHeaders) ?? null,
    exposeHeaders: one.exposeHeaders ?? null,
    title: one.title ?? null,
  } satisfies Record<Exclude<keyof Route, 'coversOwn'>, unknown>
}

/** The route table in force on the node that answers, with how its targets are. */
export function routeEndpoints({ routes }: { routes: Pick<LiveRoutes, 'current'> }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/routes',
      summary: 'List the routes in force on the answering node, with their targets’ health and circuits',
      access: sysAdmins,
      answers: { 200: z.strictObject({ items: z.array(route), nextCursor: z.null() }) },
      handle: () => {
        const { table, upstreams } = routes.current()
        const targetsOf = new Map(upstreams.status().map(({ name, targets }) => [name, targets]))
        const items = table.routes.map((one) => ({
          ...shownOf(one, table),
          targets: targetsOf.get(one.upstream) ?? [],
        }))
        return { status: 200, body: { items, nextCursor: null } }
      },
    }),
  ]
}
