import type { Request } from 'express'
import { z } from 'zod'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Positioned } from '../database/conditions.js'
import { emailAddress } from '../domain/email-address.js'
import { fieldError } from '../domain/reasons.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, positionedPage } from '../http/endpoint/page.js'
import { languageOf } from '../http/pages/html.js'
import { deliverFields, deliverySchema, type Deliver } from '../messages/deliver.js'
import type { Outbox } from '../messages/outbox.js'
import type { Caller } from './caller.js'
import { answerChanged, answerCreated, changeQuery, createdAnswers } from './change-endpoints.js'
import { exportUser, exportedLists } from './export-queries.js'
import { flag, found, given, label, search, username } from './fields.js'
import { changeEndpoint, listEndpoint, removeEndpoint, showEndpoint } from './resource-endpoints.js'
import { platformScope, type AdminScope, type Governing, type Seen } from './scope.js'
import { tellOldAddress } from './tell-old-address.js'
import { columnsOf, findUser, listUsers, searchUsers, type ListedUser } from './user-queries.js'
import {
  editUser,
  eraseUserById,
  inviteUser,
  removeUser,
  issuePasswordLink,
  sysAdminFlagRefused,
  type FirstAccessLink,
  type IssueFirstAccess,
} from './users.js'

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
  email: emailAddress.nullable(),
  fullName: label.nullable(),
  enabled: z.boolean(),
  isPlatformAdmin: z.boolean(),
  isSysAdmin: z.boolean().meta({ description: 'what it is already: it changes at /system/admins only' }),
}
const userChange = z.strictObject(changeable).partial()
const newUser = z
  .strictObject({ username, ...changeable, ...deliverFields })
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

const url = z
  .string()
  .nullable()
  .meta({ description: 'to be given to the user: whoever has it sets the password; null where it is mailed' })
const linkFields = {
  url,
  link: url,
  expiresAt: z.iso.datetime(),
  delivery: deliverySchema,
}
const resending = z.strictObject(deliverFields)

/** Makes a link to a first password, and delivers it. */
export type DeliverFirstAccess = (
  tx: CoherentTx,
  order: { userId: string; issuedBy: string | null; deliver: Deliver | undefined; language: string },
) => Promise<FirstAccessLink>

/** Returns how a call has links made: delivered as its body asks for. */
const asAsked =
  (
    deliverFirstAccess: DeliverFirstAccess,
    { req, body }: { req: Request; body: { deliver?: Deliver | undefined; language?: string | undefined } },
  ): IssueFirstAccess =>
  (tx, userId, issuedBy) =>
    deliverFirstAccess(tx, {
      userId,
      issuedBy,
      deliver: body.deliver,
      language: body.language ?? languageOf(req),
    })
const firstAccess = z.strictObject(linkFields).meta({ id: 'FirstAccess' })

/** Returns the caller's level, as far as it matters here. */
export const levelOf = ({ state }: Pick<Caller, 'state'>) => ({
  isSysAdmin: state.principal?.user.isSysAdmin === true,
})

async function listed(
  sql: Seen,
  { q, sort = 'username', limit, cursor, enabled, level, serviceAccount }: z.infer<typeof userQuery>,
): Promise<Positioned<ListedUser>[]> {
  const filter = { enabled, level, serviceAccount }
  const page = { after: decodePosition(cursor, q === undefined ? columnsOf(sort) : 2), atMost: limit + 1 }
  return q === undefined ? await listUsers(sql, filter, sort, page) : await searchUsers(sql, q, filter, page)
}

const path = '/admin/users'
const itemPath = `${path}/:id`

const listAllUsers = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path,
    summary: 'List users by name, or search them by the beginning of a name, an address or a word of a name',
    query: userQuery,
    item: listedUser,
    list: (sql, call) => listed(sql, call.query),
    page: positionedPage,
  })

function createUser({ access, change }: AdminScope, deliverFirstAccess: DeliverFirstAccess): Endpoint {
  return endpoint({
    method: 'post',
    path,
    summary: 'Make a user; answers a link by which they set their password, once',
    access,
    query: changeQuery,
    body: newUser,
    answers: createdAnswers({ ...userFields, firstAccess }),
    handle: async (call) => {
      const { isSysAdmin = false, deliver: _deliver, language: _language, ...body } = call.body
      if (isSysAdmin) throw sysAdminFlagRefused()
      const user = { email: null, fullName: null, enabled: true, isPlatformAdmin: false, ...given(body) }
      let link: FirstAccessLink | undefined
      const outcome = await change(call, async (edit) => {
        const invited = await inviteUser(edit, user, asAsked(deliverFirstAccess, call))
        link = invited.firstAccess
        return invited.user
      })
      return answerCreated(
        outcome,
        ({ id }) => `${path}/${id}`,
        () => ({ firstAccess: link }),
      )
    },
  })
}

const showUser = (scope: AdminScope) =>
  showEndpoint({
    scope,
    path: itemPath,
    summary: 'Show a user',
    item: listedUser,
    find: (sql, call) => findUser(sql, idOf(call)),
  })

const changeOneUser = (scope: AdminScope, outbox: Outbox) =>
  changeEndpoint({
    scope,
    path: itemPath,
    summary:
      'Change a user; disabling ends their sessions, tokens and links, and when this answers no node lets them in any more. Who becomes a PlatformAdmin keeps their password, and nothing else that they are let in by',
    body: userChange,
    fields: userFields,
    update: (edit, call) =>
      editUser(edit, idOf(call), call.body, (before, after) =>
        tellOldAddress(outbox, edit.tx, { before, after, language: languageOf(call.req) }),
      ),
  })

function makePasswordLink({ access, change }: AdminScope, deliverFirstAccess: DeliverFirstAccess): Endpoint {
  return endpoint({
    method: 'post',
    path: `${itemPath}/first-access`,
    summary:
      'Reset a password: make another link by which the user sets one, once. Earlier links stop working; the password and the sessions there are end when it is used',
    access,
    query: changeQuery,
    body: resending,
    bodyOptional: true,
    answers: createdAnswers(linkFields),
    handle: async (call) => {
      const answer = answerChanged(
        await change(call, (edit) => issuePasswordLink(edit, idOf(call), asAsked(deliverFirstAccess, call))),
      )
      return call.query.dryRun ? answer : { ...answer, status: 201, headers: {} }
    },
  })
}

const exportOneUser = ({ access, see }: AdminScope) =>
  endpoint({
    method: 'get',
    path: `${itemPath}/export`,
    summary:
      'All that the directory holds of a user, without hashes and secrets, and how much the audit does',
    access,
    answers: { 200: exported },
    handle: async (call) => ({
      status: 200,
      body: found(await see(call, (sql) => exportUser(sql, idOf(call)))),
      headers: { 'Content-Disposition': `attachment; filename="user-${idOf(call)}.json"` },
    }),
  })

const eraseOneUser = (scope: AdminScope) =>
  removeEndpoint({
    scope,
    method: 'post',
    path: `${itemPath}/erase`,
    summary:
      'Erase a person: delete the user, and what the audit says of them. Their id stays there, and the chain still holds',
    remove: (edit, call) => eraseUserById(edit, idOf(call)),
  })

const deleteOneUser = (scope: AdminScope) =>
  removeEndpoint({
    scope,
    path: itemPath,
    summary: 'Delete a user with their memberships, sessions and tokens; what the audit says of them stays',
    remove: (edit, call) => removeUser(edit, idOf(call)),
  })

/** Returns the endpoints by which platform admins govern users. */
export function userEndpoints(
  governing: Governing & { deliverFirstAccess: DeliverFirstAccess; outbox: Outbox },
): Endpoint[] {
  const scope = platformScope(governing)
  return [
    listAllUsers(scope),
    createUser(scope, governing.deliverFirstAccess),
    showUser(scope),
    changeOneUser(scope, governing.outbox),
    makePasswordLink(scope, governing.deliverFirstAccess),
    exportOneUser(scope),
    eraseOneUser(scope),
    deleteOneUser(scope),
  ]
}
