import { fieldError, reason } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { GatewayError, notFound } from '../errors.js'
import { endpoint, idOf, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
import {
  answerChanged,
  answerCreated,
  answerDeleted,
  answerItem,
  changedAnswers,
  changeQuery,
  createdAnswers,
  deletedAnswers,
} from './change-endpoints.js'
import { flag, found, id, invalid, search, username } from './fields.js'
import { findInstance } from './instance-queries.js'
import {
  accesses,
  deleteMember,
  findMember,
  findMemberForUpdate,
  findRoles,
  insertMember,
  listMembers,
  memberships,
  setMemberEnabled,
  setMemberRoles,
  type Kind,
  type Member,
  type Rows,
} from './member-queries.js'
import { refuseOverQuota } from './quota-queries.js'
import { findMandateIdOf } from './mandate-queries.js'
import { mandateOfPath, ownMandate, type Edit, type Governing, type AdminScope, type Seen } from './scope.js'
import { findUserId, hasLevel } from './user-queries.js'
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

/** A collection of members: of a mandate or an instance, for one of those who may govern it. */
interface Collection {
  governing: Governing
  scope: AdminScope
  path: string
  kind: Kind
  /** What they are called in summaries. */
  title: string
  /** The mandate or instance of the path, which is there. */
  within: (sql: Seen, call: Pick<Call<unknown, unknown>, 'params'>, mandateId: string) => Promise<string>
  /** Whether the caller sees profiles that their owners have not shown to the mandate. */
  seesAll: (req: Request) => boolean
  /** What is said of somebody who is no member of the mandate. */
  stranger: () => GatewayError
}

type AnyCall = Pick<Call<unknown, unknown>, 'req' | 'params'>
type At = Edit & { mandateId: string; rows: Rows }

async function rowsOf(
  { within, kind, seesAll }: Collection,
  sql: Seen,
  call: AnyCall,
  mandateId: string,
): Promise<Rows> {
  return { kind, withinId: await within(sql, call, mandateId), seesAll: seesAll(call.req) }
}

async function enter(collection: Collection, edit: Edit, call: AnyCall): Promise<At> {
  const { mandateId } = edit
  if (mandateId === undefined) throw new GatewayError('internal_error', 'Internal error')
  return { ...edit, mandateId, rows: await rowsOf(collection, edit.tx, call, mandateId) }
}

const summaryOf = ({ id: rowId, userId, enabled, roleIds: ids }: Member) => ({
  id: rowId,
  userId,
  enabled,
  roleIds: ids,
})

/** Refuses roles that are not here, or that would not count here. */
async function refuseOtherRoles({ tx, rows: { kind, withinId } }: At, ids: string[]): Promise<void> {
  const roles = new Map((await findRoles(tx, ids)).map((role) => [role.id, role]))
  for (const [index, roleId] of ids.entries()) {
    const { instanceId } = found(roles.get(roleId))
    if (instanceId !== null && instanceId !== withinId)
      throw invalid(
        `roleIds.${index}`,
        kind === memberships ? reason('role_of_instance') : reason('role_of_other_instance'),
      )
  }
}

/** What a change of this row concerns, given the roles that it hands out. */
const concernOf = ({ mandateId, rows: { kind, withinId } }: At, userId: string, given: string[]) => ({
  userId,
  mandateId,
  ...(kind === accesses ? { instanceId: withinId } : {}),
  grants: given.map((roleId) => ({
    instanceId: kind === accesses ? withinId : null,
    before: [],
    after: [roleId],
  })),
})

/** Nobody governs themself: neither up, nor out of reach of those who could undo it. */
function refuseOwn({ delegatedAdmin }: Edit, userId: string): void {
  if (delegatedAdmin?.userId === userId) throw new GatewayError('conflict', reason('about_yourself'))
}

/**
 * Operators must not be shut out, nor be made people like others, by those whom they govern. Throws
 * `permission_denied`.
 */
async function refuseOperator({ delegatedAdmin, tx }: Edit, userId: string): Promise<void> {
  if (delegatedAdmin && (await hasLevel(tx, userId))) {
    throw new GatewayError('permission_denied', reason('governs_platform'))
  }
}

const eventOf = (kind: Kind) => (kind === memberships ? 'member' : 'access')

async function addMember(
  { kind, stranger }: Pick<Collection, 'kind' | 'stranger'>,
  at: At,
  userId: string,
  body: z.infer<typeof newMember>,
): Promise<Member> {
  const { tx, mandateId, rows } = at
  if (kind === memberships) await refuseOverQuota(tx, mandateId, 'members')
  else if (!(await findMember(tx, { ...rows, kind: memberships, withinId: mandateId }, userId)))
    throw stranger()
  await refuseOtherRoles(at, body.roleIds)
  await at.about(concernOf(at, userId, body.roleIds))
  await insertMember(tx, rows, userId, body.enabled)
  await refuseOperator(at, userId) // whom the transaction sees now that they are a member
  const inserted = found(await findMember(tx, rows, userId))
  await setMemberRoles(tx, kind, inserted.id, body.roleIds)
  const after = { ...inserted, roleIds: [...body.roleIds].sort() }
  await at.record({
    action: `${eventOf(kind)}_added`,
    subject: `${eventOf(kind)}:${after.id}`,
    after: summaryOf(after),
  })
  return after
}

/** Makes a user a member of a mandate, with roles of it. Rejects with `conflict` where they are one. */
export async function addMembership(
  edit: Edit,
  mandateId: string,
  userId: string,
  given: string[],
): Promise<Member> {
  const rows = { kind: memberships, withinId: mandateId, seesAll: true }
  const at: At = { ...edit, mandateId, rows, record: (change) => edit.record({ ...change, mandateId }) }
  return await addMember({ kind: memberships, stranger: notFound }, at, userId, {
    enabled: true,
    roleIds: given,
  })
}

async function changeMember(
  { kind }: Collection,
  at: At,
  before: Member,
  body: z.infer<typeof memberChange>,
): Promise<Member> {
  const { tx } = at
  const after = {
    ...before,
    enabled: body.enabled ?? before.enabled,
    roleIds: [...(body.roleIds ?? before.roleIds)].sort(),
  }
  const given = after.roleIds.filter((roleId) => !before.roleIds.includes(roleId))
  const isSame = after.enabled === before.enabled && after.roleIds.join() === before.roleIds.join()
  if (!isSame) refuseOwn(at, before.userId)
  await refuseOperator(at, before.userId)
  await refuseOtherRoles(at, given)
  await at.about(concernOf(at, before.userId, given))
  await setMemberEnabled(tx, kind, before.id, after.enabled)
  await setMemberRoles(tx, kind, before.id, after.roleIds)
  await at.record({
    action: `${eventOf(kind)}_changed`,
    subject: `${eventOf(kind)}:${before.id}`,
    before: summaryOf(before),
    after: summaryOf(after),
  })
  return after
}

function readEndpoints(collection: Collection): Endpoint[] {
  const {
    scope: { access, see },
    path,
    title,
  } = collection
  return [
    endpoint({
      method: 'get',
      path,
      summary: `List ${title} by username; q finds them by the beginning of a name, an address or a word of a name`,
      access,
      query: memberQuery,
      answers: { 200: pageOf(member) },
      handle: async (call) => {
        const { q, enabled, roleId, limit, cursor } = call.query
        const rows = await see(call, async (sql, mandateId = '') =>
          listMembers(sql, await rowsOf(collection, sql, call, mandateId), {
            q,
            enabled,
            roleId,
            after: decodePosition(cursor, 1)?.[0],
            atMost: limit + 1,
          }),
        )
        return { status: 200, body: pageFrom(rows, limit, (one) => positionOf(one.username)) }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:memberId`,
      summary: `Show one of ${title}, by the user's id or the row's`,
      access,
      answers: { 200: member },
      handle: async (call) =>
        answerItem(
          found(
            await see(call, async (sql, mandateId = '') =>
              findMember(sql, await rowsOf(collection, sql, call, mandateId), idOf(call, 'memberId')),
            ),
          ),
        ),
    }),
  ]
}

function writeEndpoints(collection: Collection): Endpoint[] {
  const {
    governing,
    scope: { access, change },
    path,
    kind,
    title,
  } = collection
  return [
    endpoint({
      method: 'post',
      path,
      summary: `Add to ${title}: a user by id or by name, with roles`,
      access,
      query: changeQuery,
      body: newMember,
      answers: createdAnswers(memberFields),
      handle: async (call) => {
        // Looked for outside the mandate: whoever is to be added is not seen in it yet.
        const userId = found(await findUserId(governing.database, call.body))
        const outcome = await change(call, async (edit) =>
          addMember(collection, await enter(collection, edit, call), userId, call.body),
        )
        return answerCreated(
          outcome,
          (added) => `${path.replace(':id', call.params.id ?? '')}/${added.userId}`,
        )
      },
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:memberId`,
      summary: `Let one of ${title} in or not, or change their roles`,
      access,
      query: changeQuery,
      body: memberChange,
      answers: changedAnswers(memberFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async (edit) => {
            const at = await enter(collection, edit, call)
            const before = found(await findMemberForUpdate(at.tx, at.rows, idOf(call, 'memberId')))
            checkIfMatch(call.req, before)
            return await changeMember(collection, at, before, call.body)
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:memberId`,
      summary: `Remove one of ${title}${kind === memberships ? ', with their access to its instances' : ''}`,
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const at = await enter(collection, edit, call)
            const before = found(await findMemberForUpdate(at.tx, at.rows, idOf(call, 'memberId')))
            checkIfMatch(call.req, before)
            refuseOwn(at, before.userId)
            await refuseOperator(at, before.userId)
            await at.about(concernOf(at, before.userId, []))
            await deleteMember(at.tx, at.rows, before)
            await at.record({
              action: `${eventOf(kind)}_removed`,
              subject: `${eventOf(kind)}:${before.id}`,
              before: summaryOf(before),
            })
          }),
        ),
    }),
  ]
}

const everything = () => true
const onlyAsSysAdmin = (req: Request) => levelOf(req).isSysAdmin

const endpointsOf = (collection: Collection) => [...readEndpoints(collection), ...writeEndpoints(collection)]

/** Access to feature instances, for platform admins and for those who govern the mandate. */
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
      stranger: () => new GatewayError('conflict', reason('no_member')),
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'instance', idOf(call))),
    }),
    ...endpointsOf({
      governing,
      kind: accesses,
      title,
      within,
      seesAll: onlyAsSysAdmin,
      path: '/mandate/instances/:id/access',
      stranger: notFound,
      scope: ownMandate(governing, 'gateway.instances'),
    }),
  ]
}

/** Members of mandates, for platform admins and for the mandate's own. */
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
      stranger: notFound,
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'mandate', idOf(call))),
    }),
    ...endpointsOf({
      governing,
      kind: memberships,
      title,
      within,
      seesAll: onlyAsSysAdmin,
      path: '/mandate/members',
      stranger: notFound,
      scope: ownMandate(governing, 'gateway.members'),
    }),
  ]
}
