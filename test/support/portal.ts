import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import { sendRequest, type HttpResponse, type RequestOptions } from './http-client.js'
import type { TestDatabase } from './database.js'
import { testSecret } from './gateway.js'

const id = (digits: string) => `00000000-0000-4000-8000-${digits.padStart(12, '0')}`

/**
 * The demo's portal: two projects of acme, of which the second is linked to northwind, whose link has that id
 * and token.
 */
export const demoPortal = {
  relaunch: id('301'),
  campaign: id('302'),
  northwind: id('501'),
  link: id('901'),
  token: 'demo-portal-link-token',
} as const

/** The SECRET_KEY of test gateways. */
export const portalSecret = `${testSecret}-portal`

export const nowSeconds = () => Math.floor(Date.now() / 1000)
export const daySeconds = 24 * 60 * 60

/** A seal made without the code that checks it. */
export function sealText(payload: string, secret = portalSecret): string {
  return `${payload}.${createHmac('sha256', secret).update(payload).digest('hex')}`
}

/** The cookie's value for this content. */
export const sealed = (content: unknown, secret?: string) =>
  sealText(Buffer.from(JSON.stringify(content)).toString('base64url'), secret)

/** The `Cookie` header of a session that began now by that link. */
export const sessionOf = (linkId: string, iat = nowSeconds()) => ({
  Cookie: `portal_session=${sealed({ tid: linkId, iat })}`,
})

/** A client with a link of its own, written with plain SQL as another tool would. */
export async function insertClientWithLink(
  database: TestDatabase,
  mandateId: string,
  { active = true } = {},
): Promise<{ client: string; link: string; token: string; slug: string }> {
  const [client, link, token] = [randomUUID(), randomUUID(), randomBytes(32).toString('base64url')]
  const slug = `client-${client.slice(0, 8)}`
  await database.sql(
    'insert into portal_clients (id, mandate_id, name, slug, active) values ($1, $2, $3, $4, $5)',
    [client, mandateId, `Client ${client.slice(0, 8)}`, slug, active],
  )
  await database.sql(
    'insert into portal_access_tokens (id, client_id, token_hash, label) values ($1, $2, $3, $4)',
    [link, client, createHash('sha256').update(token).digest('hex'), 'made by a test'],
  )
  return { client, link, token, slug }
}

/** A project, written likewise. */
export async function insertProject(
  database: TestDatabase,
  mandateId: string,
  row: { id?: string; name?: string; client_name?: string | null; client_id?: string | null } = {},
): Promise<string> {
  const project = { id: randomUUID(), name: 'A project', client_name: null, client_id: null, ...row }
  await database.sql(
    'insert into projects (id, mandate_id, name, client_name, client_id) values ($1, $2, $3, $4, $5)',
    [project.id, mandateId, project.name, project.client_name, project.client_id],
  )
  return project.id
}

/** Sends the form of the page behind a link. */
export async function enter(
  url: string,
  token: string,
  { headers = {}, next }: RequestOptions & { next?: string } = {},
): Promise<HttpResponse> {
  const body = new URLSearchParams({ token, ...(next === undefined ? {} : { next }) }).toString()
  return await sendRequest(url, '/portal/enter', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body,
  })
}

/** The one cookie that an answer sets: its value, and its attributes in order. */
export function cookieOf(answer: HttpResponse): { value: string; attributes: string[] } {
  const [line = '', ...others] = answer.headers['set-cookie'] ?? []
  if (others.length > 0) throw new Error('more than one cookie')
  const [pair = '', ...attributes] = line.split('; ')
  if (!pair.startsWith('portal_session=')) throw new Error(`not the portal's cookie: ${line}`)
  return { value: pair.slice('portal_session='.length), attributes }
}

/** What a session cookie says. */
export const contentOf = (cookie: string) =>
  JSON.parse(Buffer.from(cookie.split('.')[0] ?? '', 'base64url').toString()) as { tid: string; iat: number }

/** An answer without what tells one request from another. */
export function comparable({ status, headers, text }: HttpResponse): string {
  const { date: _date, 'x-request-id': requestId, ...others } = headers
  return JSON.stringify([
    status,
    others,
    requestId === undefined ? text : text.replaceAll(String(requestId), ''),
  ])
}
