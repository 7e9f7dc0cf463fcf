import { z } from 'zod'
import { notFound } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
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
} from '../directory/change-endpoints.js'
import { found, label, search, username } from '../directory/fields.js'
import { platformScope, type Changing, type Governing } from '../directory/scope.js'
import {
  deleteUser,
  findUser,
  findUserForUpdate,
  insertUser,
  listUsers,
  lockEnabledAdmins,
  searchUsers,
  type ListedUser,
} from '../directory/user-queries.js'
import { changeUser, refuseForeignSysAdmin, refuseLastAdmin } from '../directory/users.js'
import { levelOf } from '../directory/users-endpoints.js'

const fields = {
  id: z.uuid(),
  username: z.string().meta({ description: 'also its client_id; the id is one, too' }),
  fullName: z.string().nullable(),
  enabled: z.boolean(),
  isSysAdmin: z.boolean(),
  isPlatformAdmin: z.boolean(),
  createdAt: z.iso.datetime(),
}
const account = z.strictObject(fields).meta({ id: 'ServiceAccount' })
const changeable = { fullName: label.nullable(), enabled: z.boolean() }

const shown = ({
  id,
  username: name,
  fullName,
  enabled,
  isSysAdmin,
  isPlatformAdmin,
  createdAt,
}: ListedUser) => ({ id, username: name, fullName, enabled, isSysAdmin, isPlatformAdmin, createdAt })

const programs = { enabled: undefined, level: undefined, serviceAccount: true }

/** Returns the account of a program. Throws `not_found` for a person: those are at /admin/users. */
function programOf(user: ListedUser | undefined): ListedUser {
  const known = found(user)
  if (!known.isServiceAccount) throw notFound()
  return known
}

const lockProgram = async (tx: Changing, id: string) => programOf(await findUserForUpdate(tx, id))

type Scope = ReturnType<typeof platformScope>

const listEndpoint = ({ access, see }: Scope): Endpoint =>
  endpoint({
    method: 'get',
    path: '/admin/service-accounts',
    summary: 'List service accounts by name, or search them by the beginning of a name or a word of one',
    access,
    query: z.strictObject({ ...pageFields, q: search.optional() }),
    answers: { 200: pageOf(account) },
    handle: async (call) => {
      const { limit, cursor, q } = call.query
      const page = { after: decodePosition(cursor, q === undefined ? 1 : 2), atMost: limit + 1 }
      const rows = await see(call, (sql) =>
        q === undefined ? listUsers(sql, programs, 'username', page) : searchUsers(sql, q, programs, page),
      )
      const { items, nextCursor } = pageFrom(rows, limit, ({ position }) => positionOf(...position))
      return { status: 200, body: { items: items.map(shown), nextCursor } }
    },
  })

const createEndpoint = ({ access, change }: Scope): Endpoint =>
  endpoint({
    method: 'post',
    path: '/admin/service-accounts',
    summary: 'Make a service account; give it a secret, a key or a token next',
    access,
    query: changeQuery,
    body: z
      .strictObject({ username, ...changeable })
      .partial()
      .required({ username: true }),
    answers: createdAnswers(fields),
    handle: async (call) => {
      const { username: name, fullName = null, enabled = true } = call.body
      const outcome = await change(call, async ({ tx, record, actor }) => {
        const made = await insertUser(tx, {
          username: name,
          email: null,
          fullName,
          enabled,
          isPlatformAdmin: false,
          isServiceAccount: true,
          createdBy: actor.userId,
        })
        await record({ action: 'service_account_created', subject: `user:${made.id}`, after: shown(made) })
        return shown(made)
      })
      return answerCreated(outcome, ({ id }) => `/admin/service-accounts/${id}`)
    },
  })

const showEndpoint = ({ access, see }: Scope): Endpoint =>
  endpoint({
    method: 'get',
    path: '/admin/service-accounts/:id',
    summary: 'Show a service account',
    access,
    answers: { 200: account },
    handle: async (call) => answerItem(shown(programOf(await see(call, (sql) => findUser(sql, idOf(call)))))),
  })

const changeEndpoint = ({ access, change }: Scope): Endpoint =>
  endpoint({
    method: 'patch',
    path: '/admin/service-accounts/:id',
    summary:
      'Change a service account; disabling one revokes its tokens for good: enabled again, ' +
      'it gets others by its secrets and keys',
    access,
    query: changeQuery,
    body: z.strictObject(changeable).partial(),
    answers: changedAnswers(fields),
    handle: async (call) =>
      answerChanged(
        await change(call, async ({ tx, about, record }) => {
          const enabledAdmins = call.body.enabled === false ? await lockEnabledAdmins(tx) : []
          const before = await lockProgram(tx, idOf(call))
          checkIfMatch(call.req, shown(before))
          await about({ userId: before.id })
          const after = await changeUser(tx, levelOf(call.req), before, call.body, enabledAdmins)
          await record({
            action: 'service_account_changed',
            subject: `user:${before.id}`,
            before: shown(before),
            after: shown(after),
          })
          return shown(after)
        }),
      ),
  })

const noAdmin = { enabled: false, isSysAdmin: false, isPlatformAdmin: false }

const deleteEndpoint = ({ access, change }: Scope): Endpoint =>
  endpoint({
    method: 'delete',
    path: '/admin/service-accounts/:id',
    summary: 'Delete a service account with its credentials, tokens and memberships',
    access,
    query: changeQuery,
    answers: deletedAnswers,
    handle: async (call) =>
      answerDeleted(
        await change(call, async ({ tx, about, record }) => {
          const enabledAdmins = await lockEnabledAdmins(tx)
          const before = await lockProgram(tx, idOf(call))
          checkIfMatch(call.req, shown(before))
          refuseForeignSysAdmin(levelOf(call.req), before)
          refuseLastAdmin(enabledAdmins, before, noAdmin)
          await about({ userId: before.id })
          await deleteUser(tx, before.id)
          await record({
            action: 'service_account_deleted',
            subject: `user:${before.id}`,
            before: shown(before),
          })
        }),
      ),
  })

/**
 * Returns the endpoints of programs' accounts. They are members of mandates like any user, and sign in by
 * their secrets, keys and tokens.
 */
export function serviceAccountEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  return [
    listEndpoint(scope),
    createEndpoint(scope),
    showEndpoint(scope),
    changeEndpoint(scope),
    deleteEndpoint(scope),
  ]
}
