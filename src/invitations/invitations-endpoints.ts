import { z } from 'zod'
import {
  answerChanged,
  answerCreated,
  answerDeleted,
  changedAnswers,
  changeQuery,
  createdAnswers,
  deletedAnswers,
} from '../directory/change-endpoints.js'
import { found, id } from '../directory/fields.js'
import { findMandate, findMandateIdOf } from '../directory/mandate-queries.js'
import { mandateOfPath, ownMandate, type AdminScope, type Edit, type Governing } from '../directory/scope.js'
import { emailAddress } from '../domain/email-address.js'
import { fieldError } from '../domain/reasons.js'
import { endpoint, idOf, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { languageOf } from '../http/pages/html.js'
import { chooseDelivery, deliverFields, deliverySchema, type Deliver } from '../messages/deliver.js'
import type { Outbox } from '../messages/outbox.js'
import { findInvitation, invitationStates, listInvitations, type InvitedAs } from './invitation-queries.js'
import {
  invite,
  resendInvitation,
  revokeInvitation,
  type Sending,
  type SentInvitation,
} from './invitations.js'

const mostRoles = 200
const mostAccesses = 50
const roleIds = z
  .array(id)
  .max(mostRoles, fieldError('too_many_roles', { max: mostRoles }))
  .transform((ids) => [...new Set(ids)])
const access = z
  .array(z.strictObject({ instanceId: id, roleIds: roleIds.default([]) }))
  .max(mostAccesses)
  .refine(
    (all) => new Set(all.map(({ instanceId }) => instanceId)).size === all.length,
    fieldError('instance_twice'),
  )

const sendingFields = { days: z.int().min(1).max(30).default(7), ...deliverFields }
const newInvitation = z.strictObject({
  email: emailAddress,
  roleIds: roleIds.default([]),
  access: access.default([]),
  membershipExpiresAt: z.null(fieldError('no_membership_end')).optional(),
  ...sendingFields,
})
const resending = z.strictObject(sendingFields)

const invitationFields = {
  id: z.uuid(),
  email: z.string(),
  roleIds: z.array(z.uuid()),
  access: z.array(z.strictObject({ instanceId: z.uuid(), roleIds: z.array(z.uuid()) })),
  status: z.enum(invitationStates),
  invitedBy: z.uuid().nullable(),
  acceptedBy: z.uuid().nullable(),
  expiresAt: z.iso.datetime(),
  delivery: deliverySchema,
  link: z.string().nullable().meta({ description: 'once, to whoever asked for it with deliver: link' }),
}
const invitation = z.strictObject(invitationFields).meta({ id: 'Invitation' })
const query = z.strictObject({ ...pageFields, status: z.enum(invitationStates).optional() })

interface Collection {
  scope: AdminScope
  path: string
  invitedAs: InvitedAs
  outbox: Outbox
  publicUrl: () => string
}

type SendCall = Pick<Call<unknown, unknown>, 'req'> & {
  body: { days: number; deliver?: Deliver | undefined; language?: string | undefined }
}

/** How the caller of a request sends an invitation. */
async function sendingOf(
  { invitedAs, outbox }: Collection,
  { tx, mandateId = '' }: Edit,
  { req, body }: SendCall,
): Promise<Sending> {
  const user = req.state.principal?.user
  return {
    outbox,
    invitedAs,
    inviter: user?.fullName ?? user?.username,
    mandateLabel: found(await findMandate(tx, mandateId)).label,
    days: body.days,
    deliver: chooseDelivery(outbox, body.deliver, ''),
    language: body.language ?? languageOf(req),
  }
}

const shown = ({ path: _, ...rest }: SentInvitation) => ({ ...rest })
const linkOf =
  ({ publicUrl }: Collection) =>
  ({ path }: SentInvitation) => ({ link: path === null ? null : publicUrl() + path })

/** Invitations have no ETag: how they are delivered changes by itself. */
const withoutEtag = ({ headers = {}, ...answer }: Answer): Answer => {
  const { ETag: _, ...rest } = headers
  return { ...answer, headers: rest }
}

function readEndpoints({ scope: { access: policy, see }, path }: Collection): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: 'List invitations to the mandate, newest first',
      access: policy,
      query,
      answers: { 200: pageOf(invitation) },
      handle: async (call) => {
        const { status, limit, cursor } = call.query
        const page = { after: decodePosition(cursor, 2), atMost: limit + 1 }
        const rows = await see(call, (sql, mandateId = '') => listInvitations(sql, mandateId, status, page))
        const { items, nextCursor } = positionedPage(rows, limit)
        return { status: 200, body: { items: items.map((one) => ({ ...one, link: null })), nextCursor } }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:invitationId`,
      summary: 'Show an invitation, and how its message fared',
      access: policy,
      answers: { 200: invitation },
      handle: async (call) => {
        const one = await see(call, (sql, mandateId = '') =>
          findInvitation(sql, mandateId, idOf(call, 'invitationId')),
        )
        return { status: 200, body: { ...found(one), link: null } }
      },
    }),
  ]
}

function sendEndpoints(collection: Collection): Endpoint[] {
  const {
    scope: { access: policy, change },
    path,
  } = collection
  return [
    endpoint({
      method: 'post',
      path,
      summary:
        'Invite an address to the mandate, with roles and access to instances; answers alike whatever accounts there are elsewhere',
      access: policy,
      query: changeQuery,
      body: newInvitation,
      answers: createdAnswers(invitationFields),
      handle: async (call) => {
        const { email, roleIds: given, access: accesses } = call.body
        const outcome = await change(call, async (edit) =>
          invite(edit, { email, roleIds: given, access: accesses }, await sendingOf(collection, edit, call)),
        )
        const answer = answerCreated(
          'effect' in outcome ? outcome : { ...outcome, result: shown(outcome.result) },
          ({ id: made }) => `${path.replace(':id', call.params.id ?? '')}/${made}`,
          () => ('effect' in outcome ? {} : linkOf(collection)(outcome.result)),
        )
        return withoutEtag(answer)
      },
    }),
    endpoint({
      method: 'post',
      path: `${path}/:invitationId/resend`,
      summary: 'Send an invitation again, with a new link; the one before stops working',
      access: policy,
      query: changeQuery,
      body: resending,
      bodyOptional: true,
      answers: changedAnswers(invitationFields),
      handle: async (call) => {
        const outcome = await change(call, async (edit) =>
          resendInvitation(edit, idOf(call, 'invitationId'), await sendingOf(collection, edit, call)),
        )
        const answer = answerChanged(
          'effect' in outcome ? outcome : { ...outcome, result: shown(outcome.result) },
          () => ('effect' in outcome ? {} : linkOf(collection)(outcome.result)),
        )
        return withoutEtag(answer)
      },
    }),
  ]
}

function revokeEndpoint({ scope: { access: policy, change }, path }: Collection): Endpoint {
  return endpoint({
    method: 'delete',
    path: `${path}/:invitationId`,
    unversioned: true,
    summary: 'Revoke an invitation: its link works no more',
    access: policy,
    query: changeQuery,
    answers: deletedAnswers,
    handle: async (call) =>
      answerDeleted(await change(call, (edit) => revokeInvitation(edit, idOf(call, 'invitationId')))),
  })
}

/** Invitations to mandates, for those who govern their members and for platform admins. */
export function invitationEndpoints(
  governing: Governing & { outbox: Outbox; publicUrl: () => string },
): Endpoint[] {
  const { outbox, publicUrl } = governing
  const collections: Collection[] = [
    {
      scope: ownMandate(governing, 'gateway.members'),
      path: '/mandate/invitations',
      invitedAs: 'mandate',
      outbox,
      publicUrl,
    },
    {
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'mandate', idOf(call))),
      path: '/admin/mandates/:id/invitations',
      invitedAs: 'platform',
      outbox,
      publicUrl,
    },
  ]
  return collections.flatMap((collection) => [
    ...readEndpoints(collection),
    ...sendEndpoints(collection),
    revokeEndpoint(collection),
  ])
}
