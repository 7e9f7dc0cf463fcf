import { z } from 'zod'
import { fieldError, reason } from '../domain/reasons.js'
import { GatewayError, notFound } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, positionOf } from '../http/endpoint/page.js'
import type { Caller } from './caller.js'
import { answerCreated, changeQuery, createdAnswers } from './change-endpoints.js'
import { flag, found, id, search, username } from './fields.js'
import { findInstance } from './instance-queries.js'
import { findMandateIdOf } from './mandate-queries.js'
import {
  accesses,
  findMember,
  listMembers,
  memberships,
  type MemberKind,
  type MemberRows,
} from './member-queries.js'
import { addMember, changeMember, removeMember, type MemberEdit } from './members.js'
import { changeEndpoint, listEndpoint, removeEndpoint, showEndpoint } from './resource-endpoints.js'
import {
  mandateOfPath,
  ownMandate,
  type AdminCall,
  type AdminScope,
  type Edit,
  type Governing,
  type Seen,
} from './scope.js'
import { findUserId } from './user-queries.js'
import { levelOf } from './users-endpoints.js'

const unshown =
  'null also at /mandate for a person whom an admin of the mandate has added, until that person enters it'
const memberFields = {
  id: z.uuid(),
  userId: z.uuid(),
  username: z.string(),
  email: z.string().nullable().meta({ description: unshown }),
  fullName: z.string().nullable().meta({ description: unshown }),
  enabled: z.boolean(),
  roleIds: z.array(z.uuid()),
  createdAt: z.iso.datetime(),
}
const member = z
  .strictObject(memberFields)
  .meta({ id: 'Member', description: "a user's row in a mandate or on an instance" })

const roleIds = z
  .array(id)
  .max(200, fieldError('too_many_roles', { max: 200 }))
  .transform((ids) => [...new Set(ids)])
const newMember = z
  .strictObject({
    userId: id.optional(),
    username: username.optional(),
    enabled: z.boolean().default(true),
    roleIds: roleIds.default([]),
  })
  .refine((body) => (body.userId === undefined) !== (body.username === undefined), {
    path: ['userId'],
    ...fieldError('user_or_username'),
  })
const memberChange = z.strictObject({ enabled: z.boolean(), roleIds }).partial()
const memberQuery = z.strictObject({ ...pageFields, q: search, enabled: flag, roleId: id.optional() })

/** A collection of members: of a mandate or an instance, for one kind of admins. */
interface Collection {
  governing: Governing
  scope: AdminScope
  path: string
  kind: MemberKind
  /** The name of the members in summaries. */
  title: string
  /** Returns the id of the mandate or instance that the path names. Throws `not_found`. */
  within: (sql: Seen, call: Pick<AdminCall, 'params'>, mandateId: string) => Promise<string>
  /** Returns whether the caller sees profiles that their owners have not shown to the mandate. */
  seesAll: (req: Caller) => boolean
  /** The refusal of a user who is no member of the mandate. */
  notMember: () => GatewayError
}

async function rowsOf(
  { within, kind, seesAll }: Collection,
  sql: Seen,
  call: AdminCall,
  mandateId: string,
): Promise<MemberRows> {
  return { kind, withinId: await within(sql, call, mandateId), seesAll: seesAll(call.req) }
}

async function enter(collection: Collection, edit: Edit, call: AdminCall): Promise<MemberEdit> {
  const { mandateId } = edit
  if (mandateId === undefined) throw new GatewayError('internal_error', 'Internal error')
  return { ...edit, mandateId, rows: await rowsOf(collection, edit.tx, call, mandateId) }
}

const listThese = (collection: Collection) =>
  listEndpoint({
    scope: collection.scope,
    path: collection.path,
    summary: `List ${collection.title} by username; q finds them by the beginning of a name, an address or a word of a name`,
    query: memberQuery,
    item: member,
    list: async (sql, call, mandateId = '') => {
      const { q, enabled, roleId, limit, cursor } = call.query
      return listMembers(sql, await rowsOf(collection, sql, call, mandateId), {
        q,
        enabled,
        roleId,
        after: decodePosition(cursor, 1)?.[0],
        atMost: limit + 1,
      })
    },
    page: (rows, limit) => pageFrom(rows, limit, (one) => positionOf(one.username)),
  })

const showOne = (collection: Collection) =>
  showEndpoint({
    scope: collection.scope,
    path: `${collection.path}/:memberId`,
    summary: `Show one of ${collection.title}, by the user's id or the row's`,
    item: member,
    find: async (sql, call, mandateId = '') =>
      findMember(sql, await rowsOf(collection, sql, call, mandateId), idOf(call, 'memberId')),
  })

function addOne(collection: Collection): Endpoint {
  const {
    governing,
    scope: { access, change },
    path,
    title,
    notMember,
  } = collection
  return endpoint({
    method: 'post',
    path,
    summary: `Add to ${title}: a user by id or by name, with roles`,
    access,
    query: changeQuery,
    body: newMember,
    answers: createdAnswers(memberFields),
    handle: async (call) => {
      // Not within the mandate: a user who is to be added is not visible there yet.
      const userId = found(await findUserId(governing.database, call.body))
      const outcome = await change(call, async (edit) =>
        addMember(await enter(collection, edit, call), userId, call.body, notMember),
      )
      return answerCreated(outcome, (added) => `${path.replace(':id', call.params.id ?? '')}/${added.userId}`)
    },
  })
}

const changeOne = (collection: Collection) =>
  changeEndpoint({
    scope: collection.scope,
    path: `${collection.path}/:memberId`,
    summary: `Let one of ${collection.title} in or not, or change their roles`,
    body: memberChange,
    fields: memberFields,
    update: async (edit, call) =>
      changeMember(await enter(collection, edit, call), idOf(call, 'memberId'), call.body),
  })

function removeOne(collection: Collection): Endpoint {
  const more = collection.kind === memberships ? ', with their access to its instances' : ''
  return removeEndpoint({
    scope: collection.scope,
    path: `${collection.path}/:memberId`,
    summary: `Remove one of ${collection.title}${more}`,
    remove: async (edit, call) => removeMember(await enter(collection, edit, call), idOf(call, 'memberId')),
  })
}

const everything = () => true
const onlyAsSysAdmin = (req: Caller) => levelOf(req).isSysAdmin

const endpointsOf = (collection: Collection) => [
  listThese(collection),
  showOne(collection),
  addOne(collection),
  changeOne(collection),
  removeOne(collection),
]

/** Returns the endpoints of access to feature instances: for platform admins, and for the mandate's own admins. */
export function accessEndpoints(governing: Governing): Endpoint[] {
  const title = 'those with access to a feature instance'
  const within: Collection['within'] = async (sql, call) => found(await findInstance(sql, idOf(call))).id
  return [
    ...endpointsOf({
      governing,
      kind: accesses,
      title,
      within,
      seesAll: everything,
      path: '/admin/instances/:id/access',
      notMember: () => new GatewayError('conflict', reason('no_member')),
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'instance', idOf(call))),
    }),
    ...endpointsOf({
      governing,
      kind: accesses,
      title,
      within,
      seesAll: onlyAsSysAdmin,
      path: '/mandate/instances/:id/access',
      notMember: notFound,
      scope: ownMandate(governing, 'gateway.instances'),
    }),
  ]
}

/** Returns the endpoints of members of mandates: for platform admins, and for the mandate's own admins. */
export function memberEndpoints(governing: Governing): Endpoint[] {
  const title = 'the members of a mandate'
  const within: Collection['within'] = (_sql, _call, mandateId) => Promise.resolve(mandateId)
  return [
    ...endpointsOf({
      governing,
      kind: memberships,
      title,
      within,
      seesAll: everything,
      path: '/admin/mandates/:id/members',
      notMember: notFound,
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'mandate', idOf(call))),
    }),
    ...endpointsOf({
      governing,
      kind: memberships,
      title,
      within,
      seesAll: onlyAsSysAdmin,
      path: '/mandate/members',
      notMember: notFound,
      scope: ownMandate(governing, 'gateway.members'),
    }),
  ]
}
