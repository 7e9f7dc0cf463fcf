import { z } from 'zod'
import type { PortalClient } from '../authentication/current-client.js'
import type { Database } from '../database/connect.js'
import { inMandate, type MandateTx } from '../database/mandate.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import type { Language } from '../domain/languages.js'
import { languageOf } from '../http/pages/html.js'
import { pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { portalClients } from '../http/endpoint/policy.js'
import { found } from './mandate.js'
import { projectPage, projectsPage, type PortalPlace } from './pages.js'
import { positionFrom, positionOf } from './position.js'
import {
  findMandateLabel,
  findProject,
  listProjects,
  projectStatuses,
  type Project,
} from './project-queries.js'
import type { TextsOf } from './texts.js'

interface Dependencies {
  database: Database
  textsOf: TextsOf
  /** Where the routes with `auth: portal` lead to, for a project. */
  placesOf: (projectId: string, language: Language) => PortalPlace[]
}

const shownProject = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    clientName: z.string().nullable(),
    status: z.enum(projectStatuses).nullable(),
    note: z.string().nullable(),
  })
  .meta({ id: 'PortalProject' })
const me = z.strictObject({
  client: z.strictObject({ id: z.uuid(), name: z.string() }),
  mandate: z.strictObject({ id: z.uuid(), label: z.string() }),
  preview: z.boolean(),
  expiresAt: z.iso.datetime(),
})

const shown = ({ id, name, clientName, status, note }: Project) => ({ id, name, clientName, status, note })

/** What clients see: pages for people, and the same for programs. */
export function portalEndpoints({ database, textsOf, placesOf }: Dependencies): Endpoint[] {
  const within = <Result>({ mandateId }: PortalClient, work: (tx: MandateTx) => Promise<Result>) =>
    database.transaction((tx) => inMandate(tx, mandateId, work))
  const pageOfProjects = async (client: PortalClient, { limit, cursor }: z.infer<typeof pageQuery>) => {
    const after = positionFrom(cursor)
    const projects = await within(client, (tx) =>
      listProjects(tx, { after, atMost: limit + 1, clientId: client.id }),
    )
    return pageFrom(projects, limit, ({ id, name: by }) => positionOf({ id, by }))
  }
  const projectOf = async (client: PortalClient, id: string) => {
    const project = found(await within(client, (tx) => findProject(tx, id)))
    return found(project.clientId === client.id ? project : undefined)
  }

  const pages = endpoint({
    method: 'get',
    path: '/portal',
    summary: "The client's projects, or one of them, as a page",
    access: portalClients,
    errors: 'portal',
    query: pageQuery.extend({ project: z.string().optional() }),
    answers: { 200: 'text/html' },
    handle: async ({ req, query }) => {
      const client = req.state.requirePortalClient()
      const language = languageOf(req)
      const setting = { language, texts: textsOf(language), client }
      if (query.project !== undefined) {
        const project = await projectOf(client, idOf({ params: { id: query.project } }))
        return projectPage({ ...setting, project, places: placesOf(project.id, language) })
      }
      const { items, nextCursor } = await pageOfProjects(client, query)
      return projectsPage({ ...setting, projects: items, nextCursor })
    },
  })
  const myself = endpoint({
    method: 'get',
    path: '/portal/api/me',
    summary: 'Who is signed in to the portal',
    access: portalClients,
    answers: { 200: me },
    handle: async ({ req }) => {
      const client = req.state.requirePortalClient()
      const mandate = await within(client, findMandateLabel)
      return {
        status: 200,
        body: {
          client: { id: client.id, name: client.name },
          mandate: found(mandate),
          preview: client.isPreview,
          expiresAt: new Date(client.expiresAtMs).toISOString(),
        },
      }
    },
  })
  const list = endpoint({
    method: 'get',
    path: '/portal/api/projects',
    summary: "The client's projects by name",
    access: portalClients,
    query: pageQuery,
    answers: { 200: pageOf(shownProject) },
    handle: async ({ req, query }) => {
      const { items, nextCursor } = await pageOfProjects(req.state.requirePortalClient(), query)
      return { status: 200, body: { items: items.map(shown), nextCursor } }
    },
  })
  const one = endpoint({
    method: 'get',
    path: '/portal/api/projects/:id',
    summary: "One of the client's projects",
    access: portalClients,
    answers: { 200: shownProject },
    handle: async (call) => ({
      status: 200,
      body: shown(await projectOf(call.req.state.requirePortalClient(), idOf(call))),
    }),
  })
  return [pages, myself, list, one]
}
