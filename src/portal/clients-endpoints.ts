import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { MandateTx } from '../database/mandate.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { mandateAdmins } from '../http/endpoint/policy.js'
import {
  deleteClient,
  findClient,
  findClientForUpdate,
  insertClient,
  listClients,
  lockProjectsOfClient,
  updateClient,
  type Client,
} from './client-queries.js'
import { coherentWithin, found, merged, within, type Rows } from './mandate.js'
import { positionFrom, positionOf } from './position.js'
import { slugFrom } from './slug.js'

const slug = z
  .string()
  .max(100)
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, fieldError('single_hyphens'))
  .refine((value) => !value.startsWith('preview-'), fieldError('preview_prefix'))
const fields = { name: z.string().trim().min(1).max(200), slug, active: z.boolean() }
const newClient = z.strictObject({
  ...fields,
  slug: slug.optional().meta({ description: 'made of the name if it is left out' }),
  active: fields.active.default(true),
})
const clientChange = z.strictObject(fields).partial()
const shown = {
  id: z.uuid(),
  name: z.string(),
  slug: z.string(),
  active: z.boolean(),
  isPreview: z.boolean(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
}
const client = z.strictObject(shown).meta({ id: 'PortalClient' })

const access = mandateAdmins('gateway.portal')
const path = '/mandate/portal-clients'
const itemPath = `${path}/:id`
/** So many clients may have the same name. */
const slugTries = 100

const slugTaken = (wanted: string) => new GatewayError('conflict', reason('slug_taken', { slug: wanted }))

/** With the slug that was asked for, else with the first free one that the name suggests. */
async function addClient(
  tx: MandateTx,
  { name, slug: wanted, active }: z.infer<typeof newClient>,
): Promise<Client> {
  const base = wanted ?? slugFrom(name)
  for (let count = 1; count <= (wanted === undefined ? slugTries : 1); count += 1) {
    const made = await insertClient(tx, { name, active, slug: count === 1 ? base : `${base}-${count}` })
    if (made) return made
  }
  throw slugTaken(base)
}

/** A mandate's clients of the portal, as those who run it govern them. */
export function clientEndpoints(rows: Rows): Endpoint[] {
  const list = endpoint({
    method: 'get',
    path,
    access,
    query: pageQuery,
    summary: "List the portal's clients by name",
    answers: { 200: pageOf(client) },
    handle: async ({ req, query: { limit, cursor } }) => {
      const after = positionFrom(cursor)
      const clients = await within(rows, req, (tx) => listClients(tx, { after, atMost: limit + 1 }))
      return { status: 200, body: pageFrom(clients, limit, ({ id, name: by }) => positionOf({ id, by })) }
    },
  })
  const add = endpoint({
    method: 'post',
    path,
    access,
    body: newClient,
    summary: 'Add a client',
    answers: { 201: client },
    handle: async ({ req, body }) => {
      const made = await within(rows, req, async (tx, mandateId) => {
        const after = await addClient(tx, body)
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_client_created',
          subject: `portal_client:${after.id}`,
          after,
        })
        return after
      })
      return { status: 201, body: made, headers: { Location: `${path}/${made.id}`, ETag: etagOf(made) } }
    },
  })
  const get = endpoint({
    method: 'get',
    path: itemPath,
    access,
    summary: 'A client',
    answers: { 200: client },
    handle: async (call) => {
      const one = found(await within(rows, call.req, (tx) => findClient(tx, idOf(call))))
      return { status: 200, body: one, headers: { ETag: etagOf(one) } }
    },
  })
  const change = endpoint({
    method: 'patch',
    path: itemPath,
    access,
    body: clientChange,
    summary: 'Change a client; one who was deactivated is let in nowhere any more when this answers',
    answers: { 200: z.strictObject({ ...shown, coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req, body } = call
      const { result, coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const before = found(await findClientForUpdate(tx, idOf(call)))
        checkIfMatch(req, before)
        const after = found(await updateClient(tx, before.id, merged(before, body)))
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_client_changed',
          subject: `portal_client:${after.id}`,
          before,
          after,
        })
        return after
      })
      return { status: 200, body: { ...result, coherence }, headers: { ETag: etagOf(result) } }
    },
  })
  const remove = endpoint({
    method: 'delete',
    path: itemPath,
    access,
    summary: 'Remove a client and their links; their projects stay',
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req } = call
      const { coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const id = idOf(call)
        await lockProjectsOfClient(tx, id)
        const before = found(await findClientForUpdate(tx, id))
        checkIfMatch(req, before)
        await deleteClient(tx, id)
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'portal_client_deleted',
          subject: `portal_client:${id}`,
          before,
        })
      })
      return { status: 200, body: { coherence } }
    },
  })
  return [list, add, get, change, remove]
}
