import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import { sendRequest, statusAndCode } from '../support/http-client.js'
import { openBrowser, type Browser } from '../support/browser.js'
import { users, type DemoUser } from '../support/demo.js'
import { demoRoutes, startTestGateway, type TestGateway } from '../support/gateway.js'
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.js'

const demoPassword = 'demo-password-1'
describe('POST /auth/password', () => {
  let nodes: TwoNodes
  let demoHash: unknown
  beforeAll(async () => {
    nodes = await startTwoNodes(demoRoutes)
    demoHash = (await nodes.database.sql('select password_hash from users where id = $1', [users.alice]))[0]!
      .password_hash
  })
  afterEach(async () => {
    await nodes.database.sql('update users set password_hash = $1', [demoHash])
  })
  afterAll(async () => {
    await nodes.stop()
  })

  const signedIn = async (username: DemoUser = 'alice', password = demoPassword) => {
    const browser = openBrowser(nodes.here.url)
    expect((await browser.logIn(username, password)).status).toBe(200)
    return browser
  }
  const change = (browser: Browser, newPassword: unknown, currentPassword: unknown = demoPassword) =>
    browser.send('POST', '/auth/password', { currentPassword, newPassword })
  const seenThere = async (browser: Browser) => [
    (
      await sendRequest(nodes.there.url, '/auth/me', {
        headers: { Authorization: `Bearer ${browser.cookie('auth_token')!.value}` },
      })
    ).status,
    (
      await sendRequest(nodes.there.url, '/auth/refresh', {
        method: 'POST',
        headers: { Cookie: `refresh_token=${browser.cookie('refresh_token')!.value}` },
      })
    ).status,
  ]
  const logInStatus = async (password: string, username = 'alice') =>
    (await openBrowser(nodes.here.url).logIn(username, password)).status

  it('ends all other sessions at once on every node, keeps this one, and the new password applies', async () => {
    const [here, phone, bob] = [await signedIn(), await signedIn(), await signedIn('bob')]
    expect(
      (
        await sendRequest(nodes.there.url, '/auth/me', {
          headers: { Authorization: `Bearer ${phone.cookie('auth_token')!.value}` },
        })
      ).status,
    ).toBe(200)
    const answer = await change(here, 'another-password-2')
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      200,
      { coherence: { epoch: expect.any(String), acked: 2, fenced: 0, waitedMs: expect.any(Number) } },
    ])
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect([await seenThere(phone), await seenThere(here), await seenThere(bob)]).toEqual([
      [401, 401],
      [200, 200],
      [200, 200],
    ])
    expect([await logInStatus(demoPassword), await logInStatus('another-password-2')]).toEqual([401, 200])
  })

  it('is audited without a password in it', async () => {
    const browser = await signedIn('frank')
    await change(browser, 'another-password-2')
    const [event, ...rest] = await nodes.database.sql(
      `select user_id, mandate_id, details from audit_events where action = 'password_changed' and user_id = $1`,
      [users.frank],
    )
    expect(rest).toEqual([])
    expect(event).toMatchObject({
      user_id: users.frank,
      mandate_id: 'system',
      details: { subject: `user:${users.frank}` },
    })
    expect(JSON.stringify(event)).not.toMatch(/password-[12]|argon2/)
    expect(nodes.here.logLines.join()).not.toMatch(/demo-password|another-password/)
  })

  it('voids links that would have set another one', async () => {
    await nodes.database.sql(
      `insert into first_access_links (user_id, token_hash, expires_at)
        values ($1, repeat('a', 64), now() + interval '1 day')`,
      [users.alice],
    )
    await change(await signedIn(), 'another-password-2')
    expect(
      await nodes.database.sql('select 1 from first_access_links where user_id = $1', [users.alice]),
    ).toEqual([])
  })

  it.each([
    ['shorter than 12 characters', 'elevenchars'],
    ['over 1024 bytes', 'é'.repeat(513)],
    ['the current one', demoPassword],
    ['empty', ''],
    ['no text', 5],
  ])('refuses a new password that is %s, at its path, and changes nothing', async (_, newPassword) => {
    const [here, phone] = [await signedIn(), await signedIn()]
    const answer = await change(here, newPassword)
    expect(statusAndCode(answer)).toEqual([400, 'validation_failed'])
    expect((JSON.parse(answer.text) as { errors: unknown }).errors).toEqual([
      { path: 'newPassword', message: expect.any(String) },
    ])
    expect(await logInStatus(demoPassword)).toBe(200)
    expect(await seenThere(phone)).toEqual([200, 200])
  })

  it('refuses the username as a password, in any case', async () => {
    await nodes.database.sql(`insert into users (username, password_hash) values ('a-long-username', $1)`, [
      demoHash,
    ])
    const browser = openBrowser(nodes.here.url)
    await browser.logIn('a-long-username')
    expect(statusAndCode(await change(browser, 'A-Long-Username'))).toEqual([400, 'validation_failed'])
  })

  it('accepts exactly 12 characters and exactly 1024 bytes', async () => {
    const browser = await signedIn()
    expect((await change(browser, 'twelve-chars')).status).toBe(200)
    expect((await change(browser, 'x'.repeat(1024), 'twelve-chars')).status).toBe(200)
    expect(await logInStatus('x'.repeat(1024))).toBe(200)
  })

  it('refuses a wrong current password, and one that is missing, and ends nothing', async () => {
    const [here, phone] = [await signedIn(), await signedIn()]
    expect(statusAndCode(await change(here, 'another-password-2', 'wrong'))).toEqual([
      401,
      'credentials_invalid',
    ])
    expect(
      statusAndCode(await here.send('POST', '/auth/password', { newPassword: 'another-password-2' })),
    ).toEqual([400, 'validation_failed'])
    expect([await seenThere(here), await seenThere(phone)]).toEqual([
      [200, 200],
      [200, 200],
    ])
  })

  it('says so to a user without a password', async () => {
    const browser = await signedIn()
    await nodes.database.sql('update users set password_hash = null where id = $1', [users.alice])
    expect(statusAndCode(await change(browser, 'another-password-2'))).toEqual([409, 'conflict'])
  })

  it('of two changes at once one is made', async () => {
    const [one, other] = [await signedIn(), await signedIn()]
    const answers = await Promise.all([
      change(one, 'another-password-2'),
      change(other, 'yet-another-password-3'),
    ])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(
      [await logInStatus('another-password-2'), await logInStatus('yet-another-password-3')].sort(),
    ).toEqual([200, 401])
  })

  it('no session that the old password began survives, however the login crossed the change', async () => {
    for (let round = 0; round < 4; round += 1) {
      await nodes.database.sql('update users set password_hash = $1', [demoHash])
      const here = await signedIn()
      const late = Array.from({ length: 4 }, () => openBrowser(nodes.there.url))
      const [changed] = await Promise.all([
        change(here, 'another-password-2'),
        ...late.map((browser) => browser.logIn('alice')),
      ])
      expect(changed.status).toBe(200)
      const sessions = await nodes.database.sql<{ id: string }>(
        'select id from sessions where user_id = $1 and ended_at is null',
        [users.alice],
      )
      expect(sessions.map(({ id }) => id)).toEqual([String(decodeJwt(here.cookie('auth_token')!.value).sid)])
    }
  })
})

describe('guessing the current password', () => {
  it('is limited together with logins', async () => {
    const gateway: TestGateway = await startTestGateway({ environment: { RATE_LIMIT_LOGIN: '2/60s' } })
    try {
      const browser = openBrowser(gateway.url)
      await browser.logIn('alice')
      const statuses = []
      for (let count = 0; count < 3; count += 1)
        statuses.push(
          (
            await browser.send('POST', '/auth/password', {
              currentPassword: `guess ${count}`,
              newPassword: 'another-password-2',
            })
          ).status,
        )
      expect(statuses).toEqual([401, 401, 429])
      expect((await browser.logIn('alice')).status).toBe(429)
    } finally {
      await gateway.stop()
    }
  })
})
