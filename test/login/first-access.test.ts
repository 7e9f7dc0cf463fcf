import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { issueFirstAccess } from '../../src/login/first-access.js'
import { users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

const good = 'correct horse battery'
const html = 'text/html,application/xhtml+xml'

describe('the link to a first password', () => {
  let gateway: TestGateway
  let pool: Database
  let newcomer: Newcomer
  let path: string
  beforeAll(async () => {
    gateway = await startTestGateway()
    pool = connectDatabase({ url: gateway.database.url, setRole: false })
  })
  afterAll(async () => {
    await pool.close()
    await gateway.stop()
  })
  const issue = (userId: string) => pool.transaction((tx) => issueFirstAccess(tx, userId, null))
  beforeEach(async () => {
    newcomer = await directoryOf(gateway.database).user()
    path = (await issue(newcomer.id)).path
  })

  const api = () => request(gateway.url)
  const set = (to: string, body: object) => api().post(to).send(body)
  const logIn = (password: string) =>
    api().post('/auth/login').send({ username: newcomer.username, password })

  it('opens a page with a form, any number of times, and signs no user in', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { status, text, headers } = await api().get(path).set('Accept', html)
      expect(status).toBe(200)
      expect(text).toContain('<form method="post">')
      expect(text).toContain(newcomer.username)
      expect(text).not.toContain(path.split('/').at(-1))
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'referrer-policy': 'strict-origin',
        'x-content-type-options': 'nosniff',
      })
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none';.*form-action 'self'; frame-ancestors 'none'/,
      )
      expect(headers).not.toHaveProperty('set-cookie')
    }
    expect((await api().get(path).set('Accept', html).set('Accept-Language', 'de')).text).toContain(
      'Passwort festlegen',
    )
  })

  it('sets the password by the form of the page, once, and the user signs in with it', async () => {
    const done = await api()
      .post(path)
      .set('Accept', html)
      .type('form')
      .send({ password: good, repeated: good })
    expect([done.status, done.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(done.headers).not.toHaveProperty('set-cookie')
    expect((await logIn(good)).status).toBe(200)
    expect((await set(path, { password: `${good} again` })).status).toBe(404)
    expect((await logIn(good)).status).toBe(200)
  })

  it('is used by one of many at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => set(path, { password: `${good} ${index}` })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(7).fill(404)])
    const winner = answers.findIndex(({ status }) => status === 204)
    expect((await logIn(`${good} ${winner}`)).status).toBe(200)
  })

  it('ends the sessions that the user had: an earlier holder of the account is out', async () => {
    const me = () => api().get('/auth/me').set('Authorization', `Bearer ${newcomer.token}`)
    expect((await me()).status).toBe(200)
    expect((await set(path, { password: good })).status).toBe(204)
    expect((await me()).body.code).toBe('token_invalid')
  })

  it('ends linked identities: a person who had the link before and linked their own cannot return', async () => {
    const link = (userId: string, subject: string) =>
      gateway.database.sql(
        `insert into user_identities (user_id, authority, issuer, subject)
          values ($1, 'google', 'https://issuer.example', $2)`,
        [userId, subject],
      )
    await link(newcomer.id, `of-another-${newcomer.id}`)
    await link(users.alice, `of-alice-${newcomer.id}`)
    expect((await set(path, { password: good })).status).toBe(204)
    expect(
      await gateway.database.sql(`select user_id from user_identities where subject like '%' || $1`, [
        newcomer.id,
      ]),
    ).toEqual([{ user_id: users.alice }])
  })

  it('used, expired, replaced, of a disabled user and never made answer alike', async () => {
    const directory = directoryOf(gateway.database)
    const expired = await issue((await directory.user()).id)
    await gateway.database.sql(
      `update first_access_links
        set expires_at = now()
        where token_hash = encode(sha256(convert_to($1, 'UTF8')), 'hex')`,
      [expired.path.split('/').at(-1)],
    )
    const disabled = await directory.user()
    const { path: ofDisabled } = await issue(disabled.id)
    await gateway.database.sql('update users set enabled = false where id = $1', [disabled.id])
    await set(path, { password: good }).expect(204)
    const again = await directory.user()
    const { path: replaced } = await issue(again.id)
    const { path: fresh } = await issue(again.id)
    const answers = []
    for (const one of [
      path,
      expired.path,
      ofDisabled,
      replaced,
      '/auth/first-access/x',
      `/auth/first-access/${'A'.repeat(43)}`,
    ]) {
      for (const answer of [
        await api().get(one),
        await set(one, { password: good }),
        await api().get(one).set('Accept', html),
      ]) {
        answers.push([answer.status, answer.text.replace(String(answer.headers['x-request-id']), '')])
      }
    }
    // a problem document, and a page
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(2)
    expect(answers.every(([status]) => status === 404)).toBe(true)
    expect((await api().get(fresh)).status).toBe(200)
  })

  it.each([
    ['short', { password: 'elevenchars' }, /at least 12 characters/],
    ['long', { password: 'ä'.repeat(513) }, /at most 1024 bytes/],
    ['not the same twice', { password: good, repeated: `${good}!` }, /the same both times/],
    ['missing', {}, /./],
    ['beside fields that nobody asked for', { password: good, username: 'root' }, /./],
  ])('refuses a password that is %s, and stays usable', async (_, body, message) => {
    const refused = await set(path, body)
    expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed'])
    expect(refused.body.errors[0].message).toMatch(message)
    expect((await set(path, { password: good })).status).toBe(204)
  })

  it('refuses the username as the password, and says on the page what is wrong', async () => {
    const { status, text } = await api()
      .post(path)
      .set('Accept', html)
      .type('form')
      .send({ password: newcomer.username.toUpperCase(), repeated: newcomer.username.toUpperCase() })
    expect(status).toBe(400)
    expect(text).toContain('must not be the username')
    expect(text).toContain('<form method="post">')
  })

  it('takes nothing that the page of another site sends', async () => {
    for (const headers of [
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
      { Origin: 'https://evil.example' },
    ]) {
      const { status, body } = await set(path, { password: good }).set(headers)
      expect([status, body.code]).toEqual([403, 'cross_site_request'])
    }
    expect((await api().get(path).set('Sec-Fetch-Site', 'cross-site')).status).toBe(200) // a link in somebody's mail
    expect((await set(path, { password: good }).set('Origin', gateway.url)).status).toBe(204)
  })

  it('is not made for a service account or an unknown user', async () => {
    for (const id of [users.reports, '00000000-0000-4000-8000-00000000ffff'])
      await expect(issue(id)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('is stored as a hash alone, leaves an audit event, and no trace in the log', async () => {
    await set(path, { password: good }).expect(204)
    const { path: open } = await issue(newcomer.id)
    await api().get(open).expect(200)
    const tokens = [path, open].map((one) => one.split('/').at(-1)!)
    const [stored] = await gateway.database.sql<{ all: string }>(
      'select json_agg(l)::text as all from first_access_links l',
    )
    const events = await gateway.database.sql<{ details: Record<string, unknown> }>(
      `select details from audit_events where action = 'first_access_used' and user_id = $1`,
      [newcomer.id],
    )
    expect(events.map(({ details }) => details.subject)).toEqual([`user:${newcomer.id}`])
    for (const secret of [...tokens, good]) {
      expect(stored!.all).not.toContain(secret)
      expect(JSON.stringify(events)).not.toContain(secret)
      expect(gateway.logLines.join('\n')).not.toContain(secret)
    }
  })

  it('is not there while the directory is away: 503, and works afterwards', async () => {
    await gateway.database.sql('alter table first_access_links rename to links_away')
    try {
      expect([(await api().get(path)).status, (await set(path, { password: good })).status]).toEqual([
        503, 503,
      ])
    } finally {
      await gateway.database.sql('alter table links_away rename to first_access_links')
    }
    expect((await set(path, { password: good })).status).toBe(204)
  })

  it('is no access token', async () => {
    expect(
      (
        await api()
          .get('/auth/me')
          .set('Authorization', `Bearer ${path.split('/').at(-1)!}`)
      ).status,
    ).toBe(401)
  })
})
