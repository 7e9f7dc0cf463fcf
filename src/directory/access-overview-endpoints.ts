import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { levels, ruleContexts } from '../domain/permissions.js'
import { permissionFrom, type Permission } from '../authorization/permissions.js'
import { csvAnswer, mostCsvRows, wantsCsv } from '../http/endpoint/csv.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
import { listOpenMemberships, listPlaces, listRolesAbout, type Placed } from './access-overview-queries.js'
import { fields, pointsOf, rulesOf, type Point } from './authority.js'
import { id } from './fields.js'
import { platformScope, type Governing, type Seen } from './scope.js'

const context = z.enum(ruleContexts, 'must be DATA, UI or RESOURCE')
const item = z
  .string()
  .max(500)
  .regex(/^[\w-]+(\.[\w-]+)*$/, fieldError('item', { example: 'crm.contacts' }))
const level = z.enum(levels)

const place = z
  .strictObject({
    userId: z.uuid(),
    username: z.string(),
    mandateId: z.uuid(),
    mandateSlug: z.string(),
    instanceId: z.uuid().nullable(),
    instanceLabel: z.string().nullable(),
    roleIds: z.array(z.uuid()),
    permissions: z
      .array(
        z.strictObject({
          context,
          item: z.string().nullable().meta({ description: 'null: every item that no rule names' }),
          view: z.boolean(),
          read: level,
          create: level,
          update: level,
          delete: level,
        }),
      )
      .meta({ description: 'those that allow something' }),
  })
  .meta({ id: 'AccessAtPlace', description: 'A place that somebody may enter, and what they may do there' })

const overviewQuery = z
  .strictObject({
    ...pageFields,
    userId: id.optional(),
    mandateId: id.optional(),
    context: context.optional(),
    item: item.optional(),
    format: z
      .enum(['json', 'csv'], 'must be json or csv')
      .optional()
      .meta({ description: 'csv: all rows as a table, without pages; as Accept: text/csv' }),
  })
  .refine(({ userId, mandateId, item: named }) => (userId ?? mandateId ?? named) !== undefined, {
    path: [],
    ...fieldError('user_mandate_or_item'),
  })
  .refine((query) => query.item === undefined || query.context !== undefined, {
    path: ['context'],
    ...fieldError('with_item'),
  })
type Overview = z.infer<typeof overviewQuery>

type Allowed = Point & Permission
type Access = Omit<Placed, 'membershipId'> & { permissions: Allowed[] }

const allowsSomething = (permission: Permission) =>
  permission.view || fields.some((field) => field !== 'view' && permission[field] !== 'n')

/**
 * What memberships come to, place by place; places where nothing of what was asked for is allowed are left
 * out.
 */
async function accessOf(
  sql: Seen,
  membershipIds: string[],
  { context: asked, item: named }: Overview,
): Promise<Access[]> {
  const places = await listPlaces(sql, membershipIds)
  const rulesAt = await rulesOf(
    sql,
    places.flatMap(({ roleIds }) => roleIds),
  )
  return places
    .map(({ membershipId: _membershipId, ...one }) => {
      const rules = rulesAt(one)
      const points =
        asked !== undefined && named !== undefined
          ? [{ context: asked, item: named }]
          : pointsOf(rules).filter((point) => asked === undefined || point.context === asked)
      return {
        ...one,
        permissions: points
          .map((point) => ({ ...point, ...permissionFrom(rules, point.context, point.item) }))
          .filter(allowsSomething),
      }
    })
    .filter(({ permissions }) => permissions.length > 0)
}

async function findMemberships(
  sql: Seen,
  { userId, mandateId, context: asked, item: named, cursor }: Overview,
  atMost: number,
): Promise<string[]> {
  const roleIds =
    asked !== undefined && named !== undefined
      ? await listRolesAbout(sql, { context: asked, item: named })
      : undefined
  return await listOpenMemberships(sql, {
    userId,
    mandateId,
    roleIds,
    after: decodePosition(cursor, 1)?.[0],
    atMost,
  })
}

const columns = [
  'username',
  'userId',
  'mandateSlug',
  'mandateId',
  'instanceLabel',
  'instanceId',
  'context',
  'item',
  ...fields,
] as const
const rowsOf = (accesses: Access[]) =>
  accesses.flatMap(({ permissions, ...one }) => permissions.map((permission) => ({ ...one, ...permission })))

/** Who can do what, and where. SysAdmins can do everything everywhere, and are not listed for that. */
export function accessOverviewEndpoints(governing: Governing): Endpoint[] {
  const { access, see } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/access-overview',
      summary:
        'Who can do what where: by user, by mandate, by item, or several of these together; JSON or CSV. A page is of as many memberships as its limit says',
      access,
      query: overviewQuery,
      answers: { 200: pageOf(place) },
      handle: async (call) =>
        await see(call, async (sql) => {
          const { limit, format } = call.query
          if (wantsCsv(call.req, format))
            return csvAnswer(
              'access-overview',
              columns,
              rowsOf(await accessOf(sql, await findMemberships(sql, call.query, mostCsvRows), call.query)),
            )
          const { items, nextCursor } = pageFrom(
            await findMemberships(sql, call.query, limit + 1),
            limit,
            (membershipId) => positionOf(membershipId),
          )
          return { status: 200, body: { items: await accessOf(sql, items, call.query), nextCursor } }
        }),
    }),
  ]
}
