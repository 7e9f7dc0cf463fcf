import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { administrationOf, type Administration } from '../support/administration.js'
import { mandates, users, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let ask: Administration['ask']
/** Items that there are, by the path that changes them; each call has one of its own to delete. */
let items: Map<string, string>
beforeAll(async () => {
  gateway = await startTestGateway()
  ask = administrationOf(gateway).ask
  items = await makeItems()
}, 60_000)
afterAll(async () => {
  await gateway.stop()
})

const { paths } = parse(await readFile(path.resolve(import.meta.dirname, '../../openapi.yaml'), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>
}
type Edit = 'patch' | 'put' | 'delete'
const edits = Object.entries(paths).flatMap(([address, methods]) =>
  (['patch', 'put', 'delete'] as const)
    .filter((method) => method in methods)
    .map((method): [Edit, string] => [method, address]),
)

/**
 * Calls about what has no ETag: they end something for good, or set one value. They refuse an If-Match, which
 * they could not check.
 */
const unversioned = new Set([
  '/mandate/invitations/{invitationId}',
  '/admin/mandates/{id}/invitations/{invitationId}',
  '/admin/first-access/{id}',
  '/admin/users/{id}/issued',
  '/auth/identities/{id}',
  '/auth/factors/{id}',
  '/admin/users/{id}/factors',
  '/system/admins/{userId}/factors',
  '/auth/sessions/{id}',
  '/admin/users/{id}/sessions',
  '/admin/users/{id}/sessions/{sessionId}',
  '/system/audit/persons/{id}',
  '/system/tokens/{id}',
  '/system/sessions/{id}',
  '/system/admins/{userId}',
  '/system/keys/{kid}',
  '/system/logs',
])
const versioned = edits.filter(([, address]) => !unversioned.has(address))

const adminOf = (address: string): DemoUser =>
  address.startsWith('/system/') ? 'root' : address.startsWith('/admin/') ? 'petra' : 'alice'
const within = (address: string) => (address.startsWith('/mandate/') ? { in: mandates.acme } : {})

/** A change that each item takes. */
function bodyFor(method: Edit, address: string): object | undefined {
  if (method === 'delete') return undefined
  if (method === 'put') return { text: `said ${method}` }
  if (/polic(?:y|ies)/.test(address)) return { maxAge: 600 }
  if (address.includes('rules')) return { create: 'g' }
  if (/members|access/.test(address)) return { enabled: true }
  if (/service-accounts|users/.test(address)) return { fullName: 'Somebody Else' }
  if (address.includes('subscriptions')) return { plan: 'another' }
  if (/projects|portal-clients\/\{id\}$/.test(address)) return { name: 'Another name' }
  return { label: 'another' }
}

async function makeItems(): Promise<Map<string, string>> {
  const post = async (to: string, body: object): Promise<Record<string, string>> => {
    const answer = await ask(adminOf(to), 'post', to, { body, ...within(to) })
    if (answer.status !== 201) throw new Error(`${to}: ${answer.text}`)
    return answer.body as Record<string, string>
  }
  const user = await post('/admin/users', { username: 'of-the-test' })
  const program = await post('/admin/service-accounts', { username: 'program-of-the-test' })
  const mandate = await post('/admin/mandates', { slug: 'of-the-test', label: 'Of the test' })
  const role = await post('/admin/roles', { label: 'of the test' })
  const ownRole = await post('/mandate/roles', { label: 'of the test' })
  const feature = await post('/admin/features', { code: 'of-the-test', label: 'Of the test' })
  const [instance, ownInstance] = [
    await post('/admin/instances', { featureCode: 'crm', label: 'x', mandateId: mandates.acme }),
    await post('/mandate/instances', { featureCode: 'crm', label: 'y' }),
  ]
  const credentials = `/admin/service-accounts/${program.id}`
  const secret = await post(`${credentials}/secrets`, { label: 'x', expiresAt: null })
  const token = await post(`${credentials}/tokens`, {
    label: 'x',
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  })
  const { generateKeyPairSync } = await import('node:crypto')
  const key = await post(`${credentials}/keys`, {
    label: 'x',
    publicJwk: {
      ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
      alg: 'ES256',
    },
  })
  await post(`/admin/mandates/${mandates.globex}/members`, { userId: user.id })
  await post('/mandate/members', { userId: users.erin })
  await post(`/admin/instances/${instance.id}/access`, { userId: users.bob })
  await post(`/mandate/instances/${ownInstance.id}/access`, { userId: users.bob })
  const rule = await post('/admin/rules', { roleId: role.id, context: 'RESOURCE', item: 'x.y' })
  const ownRule = await post('/mandate/rules', {
    roleId: ownRole.id,
    context: 'RESOURCE',
    item: 'gateway.members',
  })
  await post('/admin/subscriptions', { mandateId: mandates.globex, plan: 'business' })
  const project = await post('/mandate/projects', { name: 'x' })
  const client = await post('/mandate/portal-clients', { name: 'x' })
  const link = await post(`/mandate/portal-clients/${client.id}/links`, { label: 'x' })
  return new Map(
    Object.entries({
      '/admin/users/{id}': `/admin/users/${user.id}`,
      '/admin/service-accounts/{id}': credentials,
      '/admin/service-accounts/{id}/secrets/{credentialId}': `${credentials}/secrets/${secret.id}`,
      '/admin/service-accounts/{id}/keys/{credentialId}': `${credentials}/keys/${key.id}`,
      '/admin/service-accounts/{id}/tokens/{credentialId}': `${credentials}/tokens/${token.id}`,
      '/admin/mandates/{id}': `/admin/mandates/${mandate.id}`,
      '/admin/mandates/{id}/members/{memberId}': `/admin/mandates/${mandates.globex}/members/${user.id}`,
      '/mandate/members/{memberId}': `/mandate/members/${users.erin}`,
      '/admin/mandates/{id}/policy': `/admin/mandates/${mandates.globex}/policy`,
      '/mandate/policy': '/mandate/policy',
      '/system/policies/{area}': '/system/policies/admin',
      '/admin/roles/{id}': `/admin/roles/${role.id}`,
      '/mandate/roles/{id}': `/mandate/roles/${ownRole.id}`,
      '/admin/rules/{id}': `/admin/rules/${rule.id}`,
      '/mandate/rules/{id}': `/mandate/rules/${ownRule.id}`,
      '/admin/features/{code}': `/admin/features/${feature.code}`,
      '/admin/instances/{id}': `/admin/instances/${instance.id}`,
      '/mandate/instances/{id}': `/mandate/instances/${ownInstance.id}`,
      '/admin/instances/{id}/access/{memberId}': `/admin/instances/${instance.id}/access/${users.bob}`,
      '/mandate/instances/{id}/access/{memberId}': `/mandate/instances/${ownInstance.id}/access/${users.bob}`,
      '/admin/subscriptions/{id}': `/admin/subscriptions/${mandates.globex}`,
      '/system/translations/{language}/{key}': '/system/translations/en/portal.enterTitle',
      '/mandate/projects/{id}': `/mandate/projects/${project.id}`,
      '/mandate/portal-clients/{id}': `/mandate/portal-clients/${client.id}`,
      '/mandate/portal-clients/{id}/links/{linkId}': `/mandate/portal-clients/${client.id}/links/${link.id}`,
    }),
  )
}

const depthOf = (address: string) => address.split('/').length + (address.includes('/rules/') ? 1 : 0)
/** What depends on others is deleted before them. */
const inOrder = (list: [Edit, string][]) =>
  [...list].sort(
    ([a, one], [b, other]) =>
      Number(a === 'delete') - Number(b === 'delete') || depthOf(other) - depthOf(one),
  )

describe('If-Match', () => {
  it.each(inOrder(versioned))(
    '%s %s changes what was read, and refuses an item that has changed since',
    async (method, address) => {
      const item = items.get(address)
      if (item === undefined)
        throw new Error(`${method} ${address} is new: make an item of it above, or say that it has no ETag`)
      const who = adminOf(address)
      const options = {
        ...within(address),
        ...(method === 'delete' ? {} : { body: bodyFor(method, address) }),
      }
      const read = await ask(who, 'get', item, within(address))
      expect([read.status, read.headers.etag]).toEqual([200, expect.stringMatching(/^"/)])
      const late = await ask(who, method, item, { ...options, ifMatch: '"what-was-there-before"' })
      expect([late.status, late.body.code, late.headers.etag]).toEqual([
        412,
        'changed_meanwhile',
        read.headers.etag,
      ])
      expect((await ask(who, 'get', item, within(address))).headers.etag).toBe(read.headers.etag)
      const made = await ask(who, method, item, { ...options, ifMatch: String(read.headers.etag) })
      expect([address, made.status]).toEqual([address, 200])
    },
  )

  it.each(edits.filter(([, address]) => unversioned.has(address)))(
    '%s %s, whose item has no ETag, refuses If-Match, and changes nothing',
    async (method, address) => {
      const item = address.replace(/\{\w+\}/g, users.dave)
      const answer = await ask(adminOf(address), method, item, {
        ...within(address),
        ifMatch: '"anything"',
        ...(method === 'put' && address === '/system/logs' ? { body: { level: 'info' } } : {}),
      })
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ path: 'If-Match', message: expect.stringContaining('cannot be checked here') }],
      ])
    },
  )
})
