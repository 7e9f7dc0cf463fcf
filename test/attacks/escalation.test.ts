import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { administrationOf, type Administration } from '../support/administration.js'
import { sendRequest as askPlainly } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let ask: Administration['ask']
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask } = administrationOf(gateway))
})
afterAll(async () => {
  await gateway.stop()
})

const setPassword = (path: string) =>
  askPlainly(gateway.url, path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ password: 'chosen by somebody else' }),
  })

describe('a PlatformAdmin who prepares before a user becomes a SysAdmin', () => {
  it('cannot set the SysAdmin’s password with a link that was made before', async () => {
    const made = await ask('petra', 'post', '/admin/users', {
      body: { username: `user-${randomBytes(6).toString('hex')}` },
    })
    expect(made.status).toBe(201)
    const { pathname } = new URL(String(made.body.firstAccess.url))
    // the link works, as long as they are a user like others
    expect((await askPlainly(gateway.url, pathname)).status).toBe(200)
    expect((await ask('root', 'put', `/system/admins/${String(made.body.id)}`)).status).toBe(200)
    expect((await setPassword(pathname)).status).toBe(404)
    expect(
      (
        await gateway.database.sql<{ password_hash: string | null }>(
          'select password_hash from users where id = $1',
          [made.body.id],
        )
      )[0]?.password_hash,
    ).toBeNull()
  })
  it('cannot ask for such a link afterwards', async () => {
    const made = await ask('petra', 'post', '/admin/users', {
      body: { username: `user-${randomBytes(6).toString('hex')}` },
    })
    await ask('root', 'put', `/system/admins/${String(made.body.id)}`)
    const answer = await ask('petra', 'post', `/admin/users/${String(made.body.id)}/first-access`)
    expect([answer.status, answer.body.code]).toEqual([403, 'sysadmin_required'])
  })
  it('cannot use secrets or tokens of the former service account to be let in as the SysAdmin', async () => {
    const username = `service-${randomBytes(6).toString('hex')}`
    const account = await ask('petra', 'post', '/admin/service-accounts', { body: { username } })
    const path = `/admin/service-accounts/${String(account.body.id)}`
    const secret = await ask('petra', 'post', `${path}/secrets`, { body: { label: 'kept' } })
    const token = await ask('petra', 'post', `${path}/tokens`, {
      body: { label: 'kept', expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
    })
    expect([account.status, secret.status, token.status]).toEqual([201, 201, 201])
    const grant = () =>
      askPlainly(gateway.url, '/auth/token', {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: username,
          client_secret: String(secret.body.secret),
        }).toString(),
      })
    const granted = await grant()
    expect(granted.status).toBe(200)
    const bearers = [
      String(token.body.token),
      (JSON.parse(granted.text) as { access_token: string }).access_token,
    ]
    const tryAll = () =>
      Promise.all(
        bearers.map(
          async (one) =>
            (await askPlainly(gateway.url, '/system/keys', { headers: { Authorization: `Bearer ${one}` } }))
              .status,
        ),
      )
    expect(await tryAll()).toEqual([403, 403])
    expect((await ask('root', 'put', `/system/admins/${String(account.body.id)}`)).status).toBe(200)
    expect(await tryAll()).toEqual([401, 401])
    expect((await grant()).status).toBe(401)
  })
})
