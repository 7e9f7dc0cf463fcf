import { fieldError, reason } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { endSessionsOfUser, endWaysIn, revokeLooseTokens } from '../authentication/end-queries.js'
import { erasePersonalValues } from '../audit/audit-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Positioned } from '../database/conditions.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import {
  answerChanged,
  answerCreated,
  answerDeleted,
  answerItem,
  changedAnswers,
  changeQuery,
  createdAnswers,
  deletedAnswers,
} from './changes.js'
import { exportUser, exportedLists } from './export-queries.js'
import { flag, found, label, search, username } from './fields.js'
import { platformScope, type Changing, type Edit, type Governing, type Seen } from './scope.js'
import {
  columnsOf,
  deleteUser,
  findUser,
  findUserForUpdate,
  insertUser,
  isLastOfLevel,
  listUsers,
  lockEnabledAdmins,
  searchUsers,
  updateUser,
  type ListedUser,
} from './user-queries.js'

const userFields = {
  id: z.uuid(),
  username: z.string(),
  email: z.string().nullable(),
  fullName: z.string().nullable(),
  enabled: z.boolean(),
  isSysAdmin: z.boolean(),
  isPlatformAdmin: z.boolean(),
  isServiceAccount: z.boolean(),
  createdAt: z.iso.datetime(),
}
const listedUser = z.strictObject(userFields).meta({ id: 'ListedUser' })

const rows = z.array(z.record(z.string(), z.unknown()))
const exported = z
  .strictObject({
    user: z.record(z.string(), z.unknown()),
    ...Object.fromEntries(exportedLists.map((name) => [name, rows])),
    audit: z
      .record(z.string(), z.unknown())
      .meta({ description: 'how many events and values about them; GET /admin/audit?user=… shows them' }),
  })
  .meta({ id: 'UserExport' })

const changeable = {
  email: z.email('must be an email address').max(320).nullable(),
  fullName: label.nullable(),
  enabled: z.boolean(),
  isPlatformAdmin: z.boolean(),
  isSysAdmin: z.boolean().meta({ description: 'what it is already: it changes at /system/admins only' }),
}
const userChange = z.strictObject(changeable).partial()
const newUser = z
  .strictObject({ username, ...changeable })
  .partial()
  .required({ username: true })

const userQuery = z
  .strictObject({
    ...pageFields,
    q: search,
    enabled: flag,
    level: z
      .enum(['sysAdmin', 'platformAdmin', 'none'], 'must be sysAdmin, platformAdmin or none')
      .optional(),
    serviceAccount: flag,
    sort: z
      .enum(
        ['username', '-username', 'createdAt', '-createdAt'],
        fieldError('order', { choices: ['username', 'createdAt'] }),
      )
      .optional(),
  })
  .refine(({ q, sort }) => q === undefined || sort === undefined, {
    path: ['sort'],
    ...fieldError('sort_with_search'),
  })

/** A link by which somebody can set a password once. */
export interface FirstAccess {
  url: string
  expiresAt: Date
}

/** Makes such a link; what was made before for the same user is void. */
export type IssueFirstAccess = (
  tx: CoherentTx,
  userId: string,
  issuedBy: string | null,
) => Promise<FirstAccess>

const linkFields = {
  url: z.string().meta({ description: 'to be given to the user: whoever has it sets the password' }),
  expiresAt: z.iso.datetime(),
}
const firstAccess = z.strictObject(linkFields).meta({ id: 'FirstAccess' })

/** Who asks, as far as it matters here. */
export const levelOf = (req: Request) => ({ isSysAdmin: req.state.principal?.user.isSysAdmin === true })

/** What a SysAdmin is known and let in by is for SysAdmins to change. Throws `sysadmin_required`. */
export function refuseForeignSysAdmin(
  by: { isSysAdmin: boolean },
  user: Pick<ListedUser, 'isSysAdmin'>,
): void {
  if (user.isSysAdmin && !by.isSysAdmin) throw new GatewayError('sysadmin_required', reason('sysadmins_only'))
}

const refuseFlag = () =>
  new GatewayError('sysadmin_required', 'Who is a SysAdmin is decided by SysAdmins, at /system/admins')

type Admins = Awaited<ReturnType<typeof lockEnabledAdmins>>

/** The last one who could undo it must not be shut out. */
export function refuseLastAdmin(
  enabledAdmins: Admins,
  before: ListedUser,
  after: Pick<ListedUser, 'enabled' | 'isSysAdmin' | 'isPlatformAdmin'>,
): void {
  for (const [field, title] of [
    ['isSysAdmin', 'SysAdmin'],
    ['isPlatformAdmin', 'PlatformAdmin'],
  ] as const) {
    const remains = after.enabled && after[field]
    if (before[field] && !remains && isLastOfLevel(enabledAdmins, before.id, field)) {
      throw new GatewayError('conflict', reason('last_admin', { username: before.username, level: title }))
    }
  }
}

const takesAway = ({ enabled, isPlatformAdmin }: z.infer<typeof userChange>) =>
  enabled === false || isPlatformAdmin === false

/**
 * Changes what may be changed of a user. Throws `sysadmin_required`, and `conflict` where the last one of a
 * level would go.
 */
export async function changeUser(
  tx: Changing,
  by: { isSysAdmin: boolean },
  before: ListedUser,
  change: z.infer<typeof userChange>,
  enabledAdmins: Admins,
): Promise<ListedUser> {
  if (change.isSysAdmin !== undefined && change.isSysAdmin !== before.isSysAdmin) throw refuseFlag()
  if (change.enabled !== undefined || change.email !== undefined) refuseForeignSysAdmin(by, before)
  const after: ListedUser = {
    ...before,
    email: change.email === undefined ? before.email : change.email,
    fullName: change.fullName === undefined ? before.fullName : change.fullName,
    enabled: change.enabled ?? before.enabled,
    isPlatformAdmin: change.isPlatformAdmin ?? before.isPlatformAdmin,
  }
  if (takesAway(change)) refuseLastAdmin(enabledAdmins, before, after)
  const isPromoted = after.isPlatformAdmin && !before.isPlatformAdmin && !before.isSysAdmin
  if (isPromoted && before.isServiceAccount && !by.isSysAdmin)
    throw new GatewayError('sysadmin_required', 'Only a SysAdmin may make a service account a PlatformAdmin')
  if (isPromoted) await endWaysIn(tx, before.id)
  if (!after.enabled) {
    await endSessionsOfUser(tx, before.id)
    await revokeLooseTokens(tx, before.id)
  }
  await updateUser(tx, after)
  return after
}

/** Makes a user who is enabled, or not. Rejects with `conflict` where the name is taken. */
export async function makeUser(
  { tx, record, actor }: Pick<Edit, 'tx' | 'record' | 'actor'>,
  user: Omit<Parameters<typeof insertUser>[1], 'createdBy'>,
): Promise<ListedUser> {
  const made = await insertUser(tx, { ...user, createdBy: actor.userId })
  await record({
    action: made.isServiceAccount ? 'service_account_created' : 'user_created',
    subject: `user:${made.id}`,
    after: made,
  })
  return made
}

/**
 * Deletes a user and what the audit says about them; what is left there is their id. Throws
 * `sysadmin_required`, and `conflict` for the last of a level and for oneself.
 */
export async function eraseUser(
  { tx, about, record, actor }: Edit,
  by: { isSysAdmin: boolean },
  before: ListedUser,
  enabledAdmins: Admins,
): Promise<void> {
  refuseForeignSysAdmin(by, before)
  if (actor.userId === before.id) throw new GatewayError('conflict', reason('erases_yourself'))
  refuseLastAdmin(enabledAdmins, before, { enabled: false, isSysAdmin: false, isPlatformAdmin: false })
  await about({ userId: before.id })
  await deleteUser(tx, before.id)
  const values = await erasePersonalValues(tx, before.id)
  await record({ action: 'user_erased', subject: `user:${before.id}`, after: { values } })
}

async function listed(
  sql: Seen,
  { q, sort = 'username', limit, cursor, enabled, level, serviceAccount }: z.infer<typeof userQuery>,
): Promise<Positioned<ListedUser>[]> {
  const filter = { enabled, level, serviceAccount }
  const page = { after: decodePosition(cursor, q === undefined ? columnsOf(sort) : 2), atMost: limit + 1 }
  return q === undefined ? await listUsers(sql, filter, sort, page) : await searchUsers(sql, q, filter, page)
}

/** Users, as platform admins govern them. */
export function userEndpoints(governing: Governing & { issueFirstAccess: IssueFirstAccess }): Endpoint[] {
  const { issueFirstAccess } = governing
  const { access, see, change } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/users',
      summary:
        'List users by name, or search them by the beginning of a name, an address or a word of a name',
      access,
      query: userQuery,
      answers: { 200: pageOf(listedUser) },
      handle: async (call) => ({
        status: 200,
        body: positionedPage(await see(call, (sql) => listed(sql, call.query)), call.query.limit),
      }),
    }),
    endpoint({
      method: 'post',
      path: '/admin/users',
      summary: 'Make a user; answers a link by which they set their password, once',
      access,
      query: changeQuery,
      body: newUser,
      answers: createdAnswers({ ...userFields, firstAccess }),
      handle: async (call) => {
        const {
          username: name,
          email = null,
          fullName = null,
          enabled = true,
          isPlatformAdmin = false,
          isSysAdmin: flagged = false,
        } = call.body
        if (flagged) throw refuseFlag()
        let link: FirstAccess | undefined
        const outcome = await change(call, async (edit) => {
          const user = await makeUser(edit, { username: name, email, fullName, enabled, isPlatformAdmin })
          link = await issueFirstAccess(edit.tx, user.id, edit.actor.userId)
          return user
        })
        return answerCreated(
          outcome,
          ({ id }) => `/admin/users/${id}`,
          () => ({ firstAccess: link }),
        )
      },
    }),
    endpoint({
      method: 'get',
      path: '/admin/users/:id',
      summary: 'Show a user',
      access,
      answers: { 200: listedUser },
      handle: async (call) => answerItem(found(await see(call, (sql) => findUser(sql, idOf(call))))),
    }),
    endpoint({
      method: 'patch',
      path: '/admin/users/:id',
      summary:
        'Change a user; disabling ends their sessions, tokens and links, and when this answers no node lets them in any more. Who becomes a PlatformAdmin keeps their password, and nothing else that they are let in by',
      access,
      query: changeQuery,
      body: userChange,
      answers: changedAnswers(userFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async ({ tx, about, record }) => {
            const enabledAdmins = takesAway(call.body) ? await lockEnabledAdmins(tx) : []
            const before = found(await findUserForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            await about({ userId: before.id })
            const after = await changeUser(tx, levelOf(call.req), before, call.body, enabledAdmins)
            await record({ action: 'user_changed', subject: `user:${before.id}`, before, after })
            return after
          }),
        ),
    }),
    endpoint({
      method: 'post',
      path: '/admin/users/:id/first-access',
      summary:
        'Reset a password: make another link by which the user sets one, once. Earlier links stop working; the password and the sessions there are end when it is used',
      access,
      query: changeQuery,
      answers: createdAnswers(linkFields),
      handle: async (call) => {
        const answer = answerChanged(
          await change(call, async ({ tx, record, actor }) => {
            const user = found(await findUserForUpdate(tx, idOf(call)))
            refuseForeignSysAdmin(levelOf(call.req), user)
            await record({ action: 'first_access_issued', subject: `user:${user.id}` })
            return await issueFirstAccess(tx, user.id, actor.userId)
          }),
        )
        return call.query.dryRun ? answer : { ...answer, status: 201, headers: {} }
      },
    }),
    endpoint({
      method: 'get',
      path: '/admin/users/:id/export',
      summary:
        'All that the directory holds of a user, without hashes and secrets, and how much the audit does',
      access,
      answers: { 200: exported },
      handle: async (call) => {
        const body = found(await see(call, (sql) => exportUser(sql, idOf(call))))
        return {
          status: 200,
          body,
          headers: { 'Content-Disposition': `attachment; filename="user-${idOf(call)}.json"` },
        }
      },
    }),
    endpoint({
      method: 'post',
      path: '/admin/users/:id/erase',
      summary:
        'Erase a person: delete the user, and what the audit says of them. Their id stays there, and the chain still holds',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const enabledAdmins = await lockEnabledAdmins(edit.tx)
            const before = found(await findUserForUpdate(edit.tx, idOf(call)))
            checkIfMatch(call.req, before)
            await eraseUser(edit, levelOf(call.req), before, enabledAdmins)
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: '/admin/users/:id',
      summary: 'Delete a user with their memberships, sessions and tokens; what the audit says of them stays',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, about, record }) => {
            const enabledAdmins = await lockEnabledAdmins(tx)
            const before = found(await findUserForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            refuseForeignSysAdmin(levelOf(call.req), before)
            refuseLastAdmin(enabledAdmins, before, {
              enabled: false,
              isSysAdmin: false,
              isPlatformAdmin: false,
            })
            await about({ userId: before.id })
            await deleteUser(tx, before.id)
            await record({ action: 'user_deleted', subject: `user:${before.id}`, before })
          }),
        ),
    }),
  ]
}
