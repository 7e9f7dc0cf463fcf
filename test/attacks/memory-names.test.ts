import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let root: string
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' }, demoUpstream: true })
  root = (await tokenFor(gateway.database, 'root')).token
  const { token } = await tokenFor(gateway.database, 'alice')
  const inAcme = {
    Authorization: `Bearer ${token}`,
    'X-Mandate-Id': mandates.acme,
    'X-Instance-Id': instances.acmeCrm,
  }
  // her place and the rules of her roles are in memory now
  expect((await sendRequest(gateway.url, '/auth/context', { headers: inAcme })).status).toBe(200)
  const portal = await sendRequest(gateway.url, '/portal/enter', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'token=demo-portal-link-token',
  })
  const [cookie = ''] = portal.headers['set-cookie'] ?? []
  // and the portal link
  expect(
    (await sendRequest(gateway.url, '/portal/api/me', { headers: { Cookie: cookie.split(';')[0] } })).status,
  ).toBe(200)
})
afterAll(async () => {
  await gateway.stop()
})

const linkId = async () =>
  (await gateway.database.sql<{ id: string }>('select id from portal_access_tokens limit 1'))[0]?.id ?? ''
const names = async () => [
  `place ${users.alice} ${mandates.acme} ${instances.acmeCrm}`,
  `place ${users.alice} ${mandates.acme} `,
  `rules ${roles.acmeAdmin},${roles.crmEditor}`,
  `rules ${roles.crmEditor},${roles.acmeAdmin}`,
  `link ${await linkId()}`,
  `token ${root}`,
]

it('a key of the decision memory is refused as a token like any other text, and is no fault', async () => {
  for (const name of await names()) {
    const bearer = await sendRequest(gateway.url, '/auth/me', {
      headers: { Authorization: `Bearer ${name}` },
    })
    const cookie = await sendRequest(gateway.url, '/auth/me', { headers: { Cookie: `auth_token=${name}` } })
    expect([
      name,
      bearer.status,
      JSON.parse(bearer.text).code,
      cookie.status,
      JSON.parse(cookie.text).code,
    ]).toEqual([name, 401, 'token_invalid', 401, 'token_invalid'])
    const introspected = await sendRequest(gateway.url, '/auth/introspect', {
      method: 'POST',
      headers: { Authorization: `Bearer ${root}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: name }),
    })
    expect([name, introspected.status, introspected.text]).toEqual([name, 200, '{"active":false}'])
  }
  expect(gateway.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([])
})

it('text with characters that no token has is refused before it is looked up', async () => {
  const misses = async () =>
    Number(/^gateway_memory_misses_total (\d+)/m.exec((await sendRequest(gateway.url, '/metrics')).text)?.[1])
  const before = await misses()
  for (const text of ['a b', 'a,b', 'é', 'a/b', 'a=b', '"x"', 'a'.repeat(9000)]) {
    expect(
      (
        await sendRequest(gateway.url, '/auth/me', {
          headers: { Authorization: `Bearer ${Buffer.from(text).toString('latin1')}` },
        })
      ).status,
    ).toBe(401)
  }
  expect(await misses()).toBe(before)
})
