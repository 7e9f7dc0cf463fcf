import { z } from 'zod'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { sysAdmins } from '../http/policy.js'
import type { LiveRoutes } from '../proxy/live-routes.js'

const place = z.enum(['required', 'optional', 'none'])
const target = z.strictObject({
  address: z.string(),
  healthy: z.boolean(),
  state: z.enum(['closed', 'open', 'half-open']).meta({ description: 'of its circuit: open, it is sent no requests' }),
  running: z.int().meta({ description: 'requests that wait for their answer' }),
  streams: z.int().meta({ description: 'answers that go on, WebSockets included' }),
})
const route = z.strictObject({
  prefix: z.string(),
  upstream: z.string(),
  strip: z.boolean(),
  rewrite: z.string().nullable(),
  auth: z.enum(['required', 'optional', 'public', 'portal']),
  credentials: z.enum(['strip', 'pass']).meta({ description: 'pass: the service gets the caller’s Authorization and login cookies, and may set these' }),
  decide: z.enum(['enforce', 'watch']).meta({ description: 'watch: nothing is enforced; what would be answered is noted' }),
  mandate: place,
  instance: place,
  guard: z.enum(['sysAdmin', 'platformAdmin']).nullable(),
  permission: z.strictObject({ context: z.enum(['DATA', 'UI', 'RESOURCE']), item: z.string() }).nullable(),
  timeoutMs: z.int().nullable(),
  bodyLimit: z.int().nullable(),
  targets: z.array(target),
}).meta({ id: 'LiveRoute' })

/** The route table in force on the node that answers, with how its targets are. */
export function routeEndpoints({ routes }: { routes: Pick<LiveRoutes, 'current'> }): Endpoint[] {
  return [endpoint({
    method: 'get',
    path: '/system/routes',
    summary: 'List the routes in force on the answering node, with their targets’ health and circuits',
    access: sysAdmins,
    answers: { 200: z.strictObject({ items: z.array(route), nextCursor: z.null() }) },
    handle: () => {
      const { table, upstreams } = routes.current()
      const targetsOf = new Map(upstreams.status().map(({ name, targets }) => [name, targets]))
      const items = table.routes.map(({ prefix, upstream, strip, rewrite = null, auth, credentials, decide, mandate, instance, guard = null, permission = null, timeoutMs = null, bodyLimit = null }) =>
        ({ prefix, upstream, strip, rewrite, auth, credentials, decide, mandate, instance, guard, permission, timeoutMs, bodyLimit, targets: targetsOf.get(upstream) ?? [] }))
      return { status: 200, body: { items, nextCursor: null } }
    },
  })]
}
