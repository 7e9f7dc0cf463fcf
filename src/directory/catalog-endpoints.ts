import { z } from 'zod'
import { ruleContexts } from '../domain/permissions.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
import { listNamedItems } from './access-overview-queries.js'
import type { Point } from './authority.js'
import { platformScope, type Governing } from './scope.js'

const sources = ['gateway', 'route', 'rule'] as const
const known = z
  .strictObject({
    context: z.enum(ruleContexts),
    item: z.string(),
    sources: z
      .array(z.enum(sources))
      .meta({ description: 'who knows it: the gateway itself, the permission of a route, a rule' }),
  })
  .meta({ id: 'KnownItem' })
type Known = z.infer<typeof known>

/** What the gateway's own endpoints ask for. */
const ownItems = [
  'gateway',
  'gateway.audit',
  'gateway.instances',
  'gateway.members',
  'gateway.portal',
  'gateway.roles',
].map((item) => ({ context: 'RESOURCE' as const, item }))

const compare = (a: Omit<Known, 'sources'>, b: Omit<Known, 'sources'>) =>
  a.context < b.context ? -1 : a.context > b.context ? 1 : a.item < b.item ? -1 : a.item > b.item ? 1 : 0

function merge(
  lists: Record<Known['sources'][number], { context: Point['context']; item: string }[]>,
): Known[] {
  const items = new Map<string, Known>()
  for (const source of sources) {
    for (const { context, item } of lists[source]) {
      const one = items.get(`${context} ${item}`) ?? { context, item, sources: [] }
      items.set(
        `${context} ${item}`,
        one.sources.includes(source) ? one : { ...one, sources: [...one.sources, source] },
      )
    }
  }
  return [...items.values()].sort(compare)
}

const catalogQuery = z.strictObject(pageFields)

/**
 * The contexts and items that rules can be about. `routeItems` are those that the routes in force ask for.
 */
export function catalogEndpoints(
  governing: Governing & { routeItems: () => { context: Point['context']; item: string }[] },
): Endpoint[] {
  const { access, see } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/catalog',
      summary:
        'List the known contexts and items: what the gateway and its routes ask for, and what rules name',
      access,
      query: catalogQuery,
      answers: { 200: pageOf(known) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        const after = decodePosition(cursor, 2)
        const isLater = (one: Omit<Known, 'sources'>) =>
          after === undefined ||
          compare(one, { context: after[0] as Known['context'], item: after[1] ?? '' }) > 0
        const rule = await see(call, (sql) => listNamedItems(sql, { after, atMost: limit + 1 }))
        const items = merge({
          gateway: ownItems.filter(isLater),
          route: governing.routeItems().filter(isLater),
          rule,
        })
        return { status: 200, body: pageFrom(items, limit, ({ context, item }) => positionOf(context, item)) }
      },
    }),
  ]
}
