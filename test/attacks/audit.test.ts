import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { administrationOf, type Administration } from '../support/administration.js'
import { users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

interface Event {
  action: string
  details: Record<string, unknown>
  requestId: string | null
  userId: string | null
  mandateId: string | null
}

let gateway: TestGateway
let ask: Administration['ask']
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask } = administrationOf(gateway))
})
afterAll(async () => {
  await gateway.stop()
})

const exported = async (filter: string): Promise<{ lines: string[]; events: Event[] }> => {
  const { status, text } = await ask('petra', 'get', `/admin/audit?format=jsonl&${filter}`)
  expect(status).toBe(200)
  const lines = text.split('\n').filter(Boolean)
  return { lines, events: lines.map((line) => JSON.parse(line) as Event) }
}

const forgery = '"}\\n{"action":"forged","userId":"x"},{"a":"'
const texts: [string, string][] = [
  ['JSON that would end a line and begin another', forgery],
  ['quotes and backslashes', '\\"\\\\\'\'"'],
  ['SQL', "'); drop table audit_events; --"],
  ['markup', '<script>alert(1)</script>'],
  ['a formula', '=HYPERLINK("http://evil.example")'],
  ['characters that turn the line around', 'abc\u202edef'],
  ['half a character', 'a\ud800b'],
  ['characters beyond the basic plane', '𝔞😀'],
  ['escapes of a terminal, as text', '\\u001b[31m'],
  ['placeholders', '?? ? $1 %s {0}'],
]

describe('a text in a request body', () => {
  it.each(texts)('%s is one event, with the text in its place', async (_name, text) => {
    const slug = randomBytes(6).toString('hex')
    const made = await ask('petra', 'post', '/admin/mandates', { body: { slug, label: text } })
    expect(made.status).toBe(201)
    const { lines, events } = await exported(`mandate=${String(made.body.id)}`)
    expect(lines).toHaveLength(1)
    expect(events[0]).toMatchObject({
      action: 'mandate_created',
      userId: users.petra,
      mandateId: made.body.id,
    })
    expect(JSON.stringify(events[0]!.details)).toContain(
      JSON.stringify(text.replace('\ud800', '\ufffd')).slice(1, -1),
    )
  })
  it.each(['a\nb', 'a\r\nb', 'a\u0000b', 'a\u2028b', 'a\u001b[31mb'])(
    '%j, which would forge log lines, is refused',
    async (label) => {
      const answer = await ask('petra', 'post', '/admin/mandates', {
        body: { slug: randomBytes(6).toString('hex'), label },
      })
      expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed'])
    },
  )
})

describe('a header of a client', () => {
  it('is in the event of its login as it was sent, and never becomes a line of its own', async () => {
    const userAgent = `x"} {"action":"forged"} ${randomBytes(4).toString('hex')}`
    await request(gateway.server)
      .post('/auth/login')
      .set('User-Agent', userAgent)
      .send({ username: 'alice', password: 'demo-password-1' })
      .expect(200)
    const { lines, events } = await exported(`user=${users.alice}&action=session_started`)
    expect(lines.length).toBe(events.length)
    expect(
      events.filter(({ details }) =>
        JSON.stringify(details).includes(JSON.stringify(userAgent).slice(1, -1)),
      ),
    ).toHaveLength(1)
    expect(events.every(({ action }) => action === 'session_started')).toBe(true)
  })
  it.each(['a b', 'a"b', 'a{b', 'x'.repeat(129), 'a;b'])('with the request id %j is ignored', async (id) => {
    const { headers } = await request(gateway.server).get('/healthz').set('X-Request-Id', id)
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })
  it('with a flood of refusals becomes some events and a count, and hides no other user’s', async () => {
    for (let count = 0; count < 60; count += 1)
      expect((await ask('bob', 'get', '/system/nodes')).status).toBe(403)
    expect((await ask('erin', 'get', '/system/nodes')).status).toBe(403)
    const all = await until(async () => {
      const { events } = await exported('action=sysadmin_action_refused')
      return events.some(({ userId }) => userId === users.erin) ? events : undefined
    })
    const own = all.filter(({ userId }) => userId === users.bob).length
    expect(own).toBeGreaterThanOrEqual(20)
    expect(own).toBeLessThanOrEqual(41) // 20 a minute, and two of them may have been touched
  })
})
