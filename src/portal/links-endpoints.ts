import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import { previewLabel } from '../authentication/current-client.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { moment } from '../http/endpoint/moment.js'
import { pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { mandateAdmins } from '../http/endpoint/policy.js'
import { findClient } from './client-queries.js'
import { findLink, findLinkForUpdate, insertLink, listLinks, revokeLink, updateLink } from './link-queries.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { coherentWithin, found, merged, within, type Rows } from './mandate.js'
import { positionFrom, positionOf } from './position.js'

const fields = {
  label: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .refine((value) => value !== previewLabel, fieldError('preview_word', { label: previewLabel }))
    .nullable(),
  expiresAt: moment
    .refine((value) => value.getTime() > Date.now(), fieldError('future_or_delete'))
    .nullable(),
}
const newLink = z.strictObject({
  label: fields.label.default(null),
  expiresAt: fields.expiresAt.default(null),
})
const linkChange = z.strictObject(fields).partial()
const time = z.iso.datetime()
const shown = {
  id: z.uuid(),
  label: z.string().nullable(),
  createdAt: time,
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
  lastUsedAt: time.nullable(),
}
const link = z.strictObject(shown).meta({ id: 'PortalLink' })
const secret = {
  token: z.string().meta({ description: 'shown here and nowhere else' }),
  url: z.string().meta({ description: 'the link to give to the client' }),
}

const access = mandateAdmins('gateway.portal')
const path = '/mandate/portal-clients/:id/links'
const itemPath = `${path}/:linkId`

/** The link's id in the path. */
const linkIdOf = ({ params: { linkId } }: Call<unknown, unknown>) =>
  idOf({ params: { ...(linkId === undefined ? {} : { id: linkId }) } })

interface Dependencies extends Rows {
  publicUrl: () => string
}

/** The links by which a client gets into the portal. */
export function linkEndpoints({ publicUrl, ...rows }: Dependencies): Endpoint[] {
  const list = endpoint({
    method: 'get',
    path,
    access,
    query: pageQuery,
    summary: "List a client's links, the newest first, revoked ones too",
    answers: { 200: pageOf(link) },
    handle: async (call) => {
      const {
        query: { limit, cursor },
      } = call
      const after = positionFrom(cursor)
      const links = await within(rows, call.req, async (tx) => {
        const { id } = found(await findClient(tx, idOf(call)))
        return await listLinks(tx, id, { after, atMost: limit + 1 })
      })
      return {
        status: 200,
        body: pageFrom(links, limit, ({ id, createdAt }) => positionOf({ id, by: createdAt.toISOString() })),
      }
    },
  })
  const add = endpoint({
    method: 'post',
    path,
    access,
    body: newLink,
    summary: 'Make a link. Its address is in this answer and nowhere else: copy it now',
    answers: { 201: z.strictObject({ ...shown, ...secret }) },
    handle: async (call) => {
      const { req, body } = call
      const token = makeSecret()
      const { clientId, made } = await within(rows, req, async (tx, mandateId) => {
        const client = found(await findClient(tx, idOf(call)))
        const after = await insertLink(tx, client.id, { ...body, tokenHash: hashSecret(token) })
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_link_created',
          subject: `portal_link:${after.id}`,
          after: { ...after, clientId: client.id },
        })
        return { clientId: client.id, made: after }
      })
      const headers = { Location: `/mandate/portal-clients/${clientId}/links/${made.id}`, ETag: etagOf(made) }
      return {
        status: 201,
        body: { ...made, token, url: `${publicUrl()}/portal/enter?token=${token}` },
        headers,
      }
    },
  })
  const get = endpoint({
    method: 'get',
    path: itemPath,
    access,
    summary: 'A link, without its address',
    answers: { 200: link },
    handle: async (call) => {
      const one = found(await within(rows, call.req, (tx) => findLink(tx, idOf(call), linkIdOf(call))))
      return { status: 200, body: one, headers: { ETag: etagOf(one) } }
    },
  })
  const change = endpoint({
    method: 'patch',
    path: itemPath,
    access,
    body: linkChange,
    summary: 'Label a link, or have it end at another time',
    answers: { 200: z.strictObject({ ...shown, coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req, body } = call
      const { result, coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const before = found(await findLinkForUpdate(tx, idOf(call), linkIdOf(call)))
        checkIfMatch(req, before)
        if (before.label === previewLabel && body.label !== undefined)
          throw new GatewayError('conflict', reason('preview_keeps_label'))
        const after = found(await updateLink(tx, before.id, merged(before, body)))
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_link_changed',
          subject: `portal_link:${after.id}`,
          before,
          after,
        })
        return after
      })
      return { status: 200, body: { ...result, coherence }, headers: { ETag: etagOf(result) } }
    },
  })
  const revoke = endpoint({
    method: 'delete',
    path: itemPath,
    access,
    summary: 'Revoke a link; when this answers, no node accepts it or a session that it opened',
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req } = call
      const { coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const before = found(await findLinkForUpdate(tx, idOf(call), linkIdOf(call)))
        checkIfMatch(req, before)
        const after = found(await revokeLink(tx, before.id))
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_link_revoked',
          subject: `portal_link:${after.id}`,
          before,
          after,
        })
      })
      return { status: 200, body: { coherence } }
    },
  })
  return [list, add, get, change, revoke]
}
