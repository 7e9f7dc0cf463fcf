import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { MandateTx } from '../database/mandate.js'
import { faultAt, GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { mandateAdmins } from '../http/endpoint/policy.js'
import { findClient } from './client-queries.js'
import { coherentWithin, found, merged, within, type Rows } from './mandate.js'
import { positionFrom, positionOf } from './position.js'
import {
  deleteProject,
  findProject,
  findProjectForUpdate,
  insertProject,
  listProjects,
  projectStatuses,
  updateProject,
  type Project,
} from './project-queries.js'

const name = z.string().trim().min(1).max(200)
const fields = {
  name,
  clientName: name
    .nullable()
    .meta({ description: "the client's name until there is a client of the portal" }),
  clientId: z
    .uuid()
    .toLowerCase()
    .nullable()
    .meta({ description: 'the client of the portal who may see it' }),
  status: z.enum(projectStatuses).nullable(),
  note: z
    .string()
    .trim()
    .min(1)
    .max(10_000)
    .nullable()
    .meta({ description: 'what the client is told about it' }),
}
const nothing = { clientName: null, clientId: null, status: null, note: null }
const newProject = z.strictObject({
  ...fields,
  clientName: fields.clientName.default(null),
  clientId: fields.clientId.default(null),
  status: fields.status.default(null),
  note: fields.note.default(null),
})
const projectChange = z.strictObject(fields).partial()
const shown = { id: z.uuid(), ...fields, createdAt: z.iso.datetime(), updatedAt: z.iso.datetime() }
const project = z.strictObject(shown).meta({ id: 'Project' })

const access = mandateAdmins('gateway.portal')
const path = '/mandate/projects'
const itemPath = `${path}/:id`

/** A client of another mandate is as unknown as one that does not exist. */
async function refuseOtherClients(tx: MandateTx, clientId: string | null | undefined): Promise<void> {
  if (clientId === null || clientId === undefined || (await findClient(tx, clientId))) return
  throw new GatewayError('validation_failed', 'The body is not valid', {
    errors: [faultAt('clientId', reason('client_unknown'))],
  })
}

/** What the audit keeps of a project: a note may be long, and may be about people. */
const remembered = ({ note, ...rest }: Project) => ({ ...rest, hasNote: note !== null })

/** A mandate's projects, as those who run its portal govern them. */
export function projectEndpoints(rows: Rows): Endpoint[] {
  const list = endpoint({
    method: 'get',
    path,
    access,
    query: pageQuery,
    summary: "List the mandate's projects by name",
    answers: { 200: pageOf(project) },
    handle: async ({ req, query: { limit, cursor } }) => {
      const after = positionFrom(cursor)
      const projects = await within(rows, req, (tx) => listProjects(tx, { after, atMost: limit + 1 }))
      return { status: 200, body: pageFrom(projects, limit, ({ id, name: by }) => positionOf({ id, by })) }
    },
  })
  const add = endpoint({
    method: 'post',
    path,
    access,
    body: newProject,
    summary: 'Add a project',
    answers: { 201: project },
    handle: async ({ req, body }) => {
      const made = await within(rows, req, async (tx, mandateId) => {
        await refuseOtherClients(tx, body.clientId)
        const after = await insertProject(tx, { ...nothing, ...body })
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'project_created',
          subject: `project:${after.id}`,
          after: remembered(after),
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
    summary: 'A project',
    answers: { 200: project },
    handle: async (call) => {
      const one = found(await within(rows, call.req, (tx) => findProject(tx, idOf(call))))
      return { status: 200, body: one, headers: { ETag: etagOf(one) } }
    },
  })
  const change = endpoint({
    method: 'patch',
    path: itemPath,
    access,
    body: projectChange,
    summary: 'Change a project; a client who loses it sees it no more when this answers',
    answers: { 200: z.strictObject({ ...shown, coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req, body } = call
      const { result, coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const before = found(await findProjectForUpdate(tx, idOf(call)))
        checkIfMatch(req, before)
        await refuseOtherClients(tx, body.clientId)
        const after = found(await updateProject(tx, before.id, merged(before, body)))
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'project_changed',
          subject: `project:${after.id}`,
          before: remembered(before),
          after: remembered(after),
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
    summary: 'Remove a project',
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const { req } = call
      const { coherence } = await coherentWithin(rows, req, async (tx, mandateId) => {
        const before = found(await findProjectForUpdate(tx, idOf(call)))
        checkIfMatch(req, before)
        await deleteProject(tx, before.id)
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId,
          action: 'project_deleted',
          subject: `project:${before.id}`,
          before: remembered(before),
        })
      })
      return { status: 200, body: { coherence } }
    },
  })
  return [list, add, get, change, remove]
}
