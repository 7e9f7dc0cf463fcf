import type { Sql } from '../database/connect.js'
import type { MandateTx } from '../database/mandate.js'
import type { Position } from './position.js'

export const projectStatuses = ['planned', 'active', 'waiting', 'done'] as const
export type ProjectStatus = (typeof projectStatuses)[number]

/** A project, as those who run the portal see it. */
export interface Project {
  id: string
  name: string
  clientName: string | null
  clientId: string | null
  status: ProjectStatus | null
  note: string | null
  createdAt: Date
  updatedAt: Date
}

/** What can be said of a project. */
export type ProjectValues = Pick<Project, 'name' | 'clientName' | 'clientId' | 'status' | 'note'>

const columns =
  'id, name, client_name as "clientName", client_id as "clientId", status, note, created_at as "createdAt", updated_at as "updatedAt"'

interface ListOptions {
  after: Position | undefined
  atMost: number
  /** Of this client alone. */
  clientId?: string
}

/** Projects by name, those after `after` only. */
export async function listProjects(
  tx: MandateTx,
  { after, atMost, clientId }: ListOptions,
): Promise<Project[]> {
  return await tx.rows<Project>(
    `
    select ${columns} from projects
     where (name, id) > (?, ?::uuid) and (?::uuid is null or client_id = ?::uuid)
     order by name, id limit ?`,
    [
      after?.by ?? '',
      after?.id ?? '00000000-0000-0000-0000-000000000000',
      clientId ?? null,
      clientId ?? null,
      atMost,
    ],
  )
}

/** The project with that id. */
export async function findProject(tx: MandateTx, id: string): Promise<Project | undefined> {
  const [project] = await tx.rows<Project>(`select ${columns} from projects where id = ?`, [id])
  return project
}

/** The project with that id, which stays as it is until the transaction ends. */
export async function findProjectForUpdate(tx: MandateTx, id: string): Promise<Project | undefined> {
  const [project] = await tx.rows<Project>(`select ${columns} from projects where id = ? for update`, [id])
  return project
}

/** The mandate of the project with that id, whichever it is. */
export async function findMandateOfProject(
  sql: Sql,
  id: string,
): Promise<{ id: string; enabled: boolean } | undefined> {
  const [mandate] = await sql.rows<{ id: string; enabled: boolean }>(
    'select m.id, m.enabled from projects p join mandates m on m.id = p.mandate_id where p.id = ?',
    [id],
  )
  return mandate
}

/** Adds a project to the mandate that was entered. */
export async function insertProject(
  tx: MandateTx,
  { name, clientName, clientId, status, note }: ProjectValues,
): Promise<Project> {
  const [project] = await tx.rows<Project>(
    `
    insert into projects (mandate_id, name, client_name, client_id, status, note) values (gateway_mandate(), ?, ?, ?, ?, ?) returning ${columns}`,
    [name, clientName, clientId, status, note],
  )
  if (!project) throw new Error('an insert answered no row')
  return project
}

/** Says these things of a project. */
export async function updateProject(
  tx: MandateTx,
  id: string,
  { name, clientName, clientId, status, note }: ProjectValues,
): Promise<Project | undefined> {
  const [project] = await tx.rows<Project>(
    `update projects set name = ?, client_name = ?, client_id = ?, status = ?, note = ? where id = ? returning ${columns}`,
    [name, clientName, clientId, status, note, id],
  )
  return project
}

/** Removes a project. */
export async function deleteProject(tx: MandateTx, id: string): Promise<void> {
  await tx.run('delete from projects where id = ?', [id])
}

/** The mandate that was entered, as clients are told of it. */
export async function findMandateLabel(tx: MandateTx): Promise<{ id: string; label: string } | undefined> {
  const [mandate] = await tx.rows<{ id: string; label: string }>(
    'select id, label from mandates where id = gateway_mandate()',
  )
  return mandate
}
