import { createHmac, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { GatewayError } from '../../src/errors.js'
import type { RateLimit } from '../../src/domain/rate-limit.js'
import { createSealing } from '../../src/domain/sealing.js'
import { makeSecret } from '../../src/domain/secrets.js'
import type { NewMessage } from '../../src/messages/message.js'
import { openOutbox, type Outbox } from '../../src/messages/outbox.js'
import { startSender, type Sender } from '../../src/messages/sender.js'
import { smtpWayOut } from '../../src/messages/smtp.js'
import { webhookWayOut } from '../../src/messages/webhook.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, users } from '../support/demo.js'
import { linkOf, startMailServer, startWebhook, type MailServer, type Webhook } from '../support/mail.js'
import { until } from '../support/until.js'

const sealingOf = (secret: string, previous?: string) =>
  createSealing({ SECRET_KEY: secret, SECRET_KEY_PREVIOUS: previous }, 'messages')
const sealing = sealingOf('a secret of the tests')
const notifySecret = 'a webhook secret of the tests 0123456789'
const publicUrl = 'https://gate.example'
const logger = { error: () => logger, warn: () => logger, info: () => logger, debug: () => logger }

interface Row {
  id: string
  status: string
  payload: string | null
  attempts: number
  last_error: string | null
  seconds: number
}

describe('the outbox', () => {
  let rows: TestDatabase
  let database: Database
  let mail: MailServer
  let hook: Webhook
  const senders: Sender[] = []
  const link = () => ({ path: `/auth/reset/${makeSecret()}`, expiresAt: new Date(Date.now() + 3_600_000) })
  const fresh = (): NewMessage => ({
    kind: 'password_reset',
    to: `${randomUUID()}@example.com`,
    language: 'en',
    userId: users.alice,
    username: 'alice',
    link: link(),
  })
  const outboxOf = (limit?: RateLimit): Outbox =>
    openOutbox({ limit, hasWayOut: true, sealing, publicUrl: () => publicUrl })
  const queue = (message: NewMessage, outbox = outboxOf()) =>
    database.transaction((tx) => outbox.queueMessage(tx, message))
  const send = (
    wayOut = smtpWayOut({ url: mail.url, from: 'Gate <gate@example.org>' }),
    opening = sealing,
  ) => {
    const sender = startSender({ database, wayOut, sealing: opening, logger: logger as never })
    senders.push(sender)
    return sender
  }
  const byHook = () => send(webhookWayOut({ url: hook.url, secret: notifySecret }))
  const row = async ({ to }: NewMessage): Promise<Row> => {
    const [found] = await rows.sql<Row>(
      `select *, extract(epoch from next_attempt_at - now())::float as seconds
         from messages
        where recipient = $1`,
      [to],
    )
    return found!
  }
  const settled = (message: NewMessage, status: string) =>
    until(async () => {
      const found = await row(message)
      return found.status === status ? found : undefined
    }, 10_000)
  const tried = (message: NewMessage, attempts: number) =>
    until(async () => {
      const found = await row(message)
      return found.attempts >= attempts && found.last_error !== null ? found : undefined
    }, 15_000)
  const dueNow = ({ to }: NewMessage) =>
    rows.sql(`update messages set next_attempt_at = now() where recipient = $1 and status = 'pending'`, [to])

  beforeAll(async () => {
    rows = await createTestDatabase()
    database = connectDatabase({ url: rows.url, setRole: false })
    hook = await startWebhook()
  })
  beforeEach(async () => {
    mail = await startMailServer()
    hook.answerWith(204)
  })
  afterEach(async () => {
    await Promise.all(senders.splice(0).map((sender) => sender.close()))
    await mail.stop()
    await rows.sql('delete from messages')
  })
  afterAll(async () => {
    await hook.stop()
    await database.close()
    await rows.drop()
  })

  it('sends a message by mail once, as text and HTML with its link', async () => {
    send()
    const message = fresh()
    await queue(message)
    const [sent] = await mail.to(message.to)
    expect(sent).toMatchObject({ from: 'gate@example.org', to: [message.to] })
    expect(sent!.headers).toMatchObject({
      subject: 'Reset your password',
      'auto-submitted': 'auto-generated',
    })
    expect(linkOf(sent!)).toBe(publicUrl + message.link!.path)
    expect(sent!.html).toContain(`href="${publicUrl}${message.link!.path}"`)
    expect(await settled(message, 'sent')).toMatchObject({ attempts: 1, payload: null, last_error: null })
    expect(mail.mails).toHaveLength(1)
  })

  it('keeps nothing of a message whose change is rolled back', async () => {
    send()
    const message = fresh()
    await expect(
      database.transaction(async (tx) => {
        await outboxOf().queueMessage(tx, message)
        throw new GatewayError('conflict', 'the change failed')
      }),
    ).rejects.toThrow('the change failed')
    expect(await row(message)).toBeUndefined()
  })

  it('stores the link sealed, and nothing of it once the message is sent', async () => {
    const message = fresh()
    await queue(message)
    const token = message.link!.path.split('/').at(-1)!
    const stored = async () => JSON.stringify(await rows.sql('select * from messages'))
    expect((await row(message)).payload).toEqual(expect.any(String))
    expect(await stored()).not.toContain(token)
    send()
    await settled(message, 'sent')
    expect(await stored()).not.toContain(token)
  })

  it('is sent by one node of many', async () => {
    for (let node = 0; node < 4; node += 1) send()
    const messages = Array.from({ length: 20 }, fresh)
    for (const message of messages) await queue(message)
    for (const message of messages) await settled(message, 'sent')
    expect(mail.mails).toHaveLength(messages.length)
  })

  it('tries again after 5, 30, 120 and 600 seconds, then hourly, with the same Message-ID', async () => {
    mail.refuseWith(450)
    send()
    const message = fresh()
    await queue(message)
    for (const [index, seconds] of [5, 30, 120, 600, 3600, 3600].entries()) {
      const found = await until(async () => {
        const now = await tried(message, index + 1)
        return now.attempts === index + 1 && Math.abs(now.seconds - seconds) < 3 ? now : undefined
      }, 10_000)
      expect([found.status, found.last_error]).toEqual(['pending', 'SMTP: 450 5.1.1 no such mailbox'])
      if (index < 5) await dueNow(message)
    }
    mail.refuseWith(undefined)
    await dueNow(message)
    const [sent] = await mail.to(message.to)
    const { id } = await settled(message, 'sent')
    expect(sent!.headers['message-id']).toBe(`<${id}@example.org>`)
  })

  it('sends a message again, with the same id, when a node ended before it noted that it was sent', async () => {
    const smtp = smtpWayOut({ url: mail.url, from: 'gate@example.org' })
    let isHeld = true
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    send({
      ...smtp,
      send: async (envelope) => {
        await smtp.send(envelope)
        if (isHeld) await held // as if the node had been killed here
      },
    })
    const message = fresh()
    await queue(message)
    await mail.to(message.to)
    expect((await row(message)).status).toBe('pending')
    isHeld = false
    send()
    await dueNow(message) // what comes by itself a minute later
    const twice = await mail.to(message.to, 2)
    await settled(message, 'sent')
    release()
    const ids = twice.map(({ headers }) => headers['message-id'])
    expect(ids).toEqual([`<${(await row(message)).id}@example.org>`, ids[0]])
  })

  it('survives a mail server that is away, and loses no message', async () => {
    const { port } = new URL(mail.url)
    await mail.stop()
    send(smtpWayOut({ url: `smtp://127.0.0.1:${port}`, from: 'gate@example.org' }))
    const messages = Array.from({ length: 5 }, fresh)
    for (const message of messages) await queue(message)
    for (const message of messages) expect((await tried(message, 1)).status).toBe('pending')
    mail = await startMailServer({}, Number(port))
    for (const message of messages) await dueNow(message)
    for (const message of messages) await settled(message, 'sent')
    expect(mail.mails).toHaveLength(5)
  })

  it('gives up at a 5xx answer, says so in the audit, and keeps nothing of the text', async () => {
    mail.refuseWith(550)
    const sender = send()
    const message = fresh()
    await queue(message)
    const found = await settled(message, 'failed')
    expect(found).toMatchObject({ attempts: 1, payload: null, last_error: 'SMTP: 550 5.1.1 no such mailbox' })
    const events = await rows.sql<{ details: { subject: string } }>(
      `select details from audit_events where action = 'message_failed'`,
    )
    expect(events.filter(({ details }) => details.subject === `message:${found.id}`)).toHaveLength(1)
    expect(sender.counts()).toMatchObject({ failed: 1, sent: 0 })
  })

  it.each([
    ['its link has expired', `expires_at = now()`, 'the link expired'],
    ['a day has passed', `created_at = now() - interval '25 hours'`, 'a day passed'],
  ])('gives up when %s', async (_, change, why) => {
    const message = fresh()
    await queue(message)
    await rows.sql(`update messages set ${change} where recipient = $1`, [message.to])
    send()
    expect(await settled(message, 'failed')).toMatchObject({ payload: null, last_error: why, attempts: 0 })
    expect(mail.mails).toHaveLength(0)
  })

  it('gives up what no secret opens', async () => {
    const message = fresh()
    await queue(message)
    send(undefined, sealingOf('another secret'))
    expect((await settled(message, 'failed')).last_error).toMatch(/SECRET_KEY/)
  })

  it('opens what the earlier secret sealed', async () => {
    const message = fresh()
    await queue(message)
    send(undefined, sealingOf('a newer secret', 'a secret of the tests'))
    await settled(message, 'sent')
  })

  it('does not send a message whose link is replaced or withdrawn', async () => {
    const message = fresh()
    const token = message.link!.path.split('/').at(-1)!
    await rows.sql(
      `insert into first_access_links (user_id, token_hash, expires_at)
        values ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'), now() + interval '1 day')`,
      [users.bob, token],
    )
    await queue(message)
    await rows.sql('delete from first_access_links where user_id = $1', [users.bob])
    expect(await row(message)).toMatchObject({ status: 'cancelled', payload: null })
    send()
    const other = fresh()
    await queue(other)
    await settled(other, 'sent')
    expect(mail.mails.map(({ to }) => to)).toEqual([[other.to]])
  })

  it('writes nothing without a way out', async () => {
    const message = fresh()
    await queue(
      message,
      openOutbox({ limit: undefined, hasWayOut: false, sealing, publicUrl: () => publicUrl }),
    )
    expect(await row(message)).toBeUndefined()
  })

  describe('with RATE_LIMIT_MAIL', () => {
    const limit = { requests: 2, windowMs: 3_600_000 }
    const refused = { code: 'rate_limited' }
    const of = (change: Partial<NewMessage>): NewMessage => ({ ...fresh(), userId: users.bob, ...change })

    it('counts first access links by recipient, in any case', async () => {
      const to = 'counted@example.com'
      const outbox = outboxOf(limit)
      await queue(of({ kind: 'first_access', to }), outbox)
      await queue(of({ kind: 'first_access', to: to.toUpperCase(), userId: users.carol }), outbox)
      await expect(queue(of({ kind: 'first_access', to }), outbox)).rejects.toMatchObject(refused)
      await queue(of({ kind: 'first_access', to: 'other@example.com' }), outbox)
    })

    it('counts invitations by recipient and mandate, and fiftyfold by mandate', async () => {
      const to = 'invited@example.com'
      const one = { requests: 1, windowMs: 3_600_000 }
      const outbox = outboxOf(one)
      await queue(of({ kind: 'invitation', to, mandateId: mandates.acme }), outbox)
      await expect(
        queue(of({ kind: 'invitation', to, mandateId: mandates.acme }), outbox),
      ).rejects.toMatchObject(refused)
      await queue(of({ kind: 'invitation', to, mandateId: mandates.globex }), outbox)
      for (let index = 1; index < 50; index += 1)
        await queue(of({ kind: 'invitation', mandateId: mandates.acme }), outbox)
      await expect(queue(of({ kind: 'invitation', mandateId: mandates.acme }), outbox)).rejects.toMatchObject(
        refused,
      )
    })

    it('counts confirmations of an address by account', async () => {
      const outbox = outboxOf(limit)
      const confirm = (userId: string) => queue(of({ kind: 'email_confirm', userId }), outbox)
      await confirm(users.bob)
      await confirm(users.bob)
      await expect(confirm(users.bob)).rejects.toMatchObject(refused)
      await confirm(users.carol)
    })

    it.each(['email_notice', 'security_notice'] as const)('always sends %s', async (kind) => {
      const outbox = outboxOf({ requests: 1, windowMs: 3_600_000 })
      const message = of({ kind, to: 'always@example.com' })
      for (let index = 0; index < 3; index += 1) await queue(message, outbox)
    })

    it('lets one of two at once through where one is left', async () => {
      const outbox = outboxOf({ requests: 1, windowMs: 3_600_000 })
      const results = await Promise.allSettled(
        Array.from({ length: 4 }, () => queue(of({ kind: 'first_access', to: 'race@example.com' }), outbox)),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    it('says when the next one may be sent', async () => {
      const outbox = outboxOf({ requests: 1, windowMs: 60_000 })
      await queue(of({ kind: 'first_access', to: 'later@example.com' }), outbox)
      const error = await queue(of({ kind: 'first_access', to: 'later@example.com' }), outbox).catch(
        (caught: unknown) => caught as { headers: Record<string, string> },
      )
      expect(Number(error?.headers['Retry-After'])).toBeGreaterThan(50)
      expect(Number(error?.headers['Retry-After'])).toBeLessThanOrEqual(60)
    })
  })

  describe('by the webhook', () => {
    const posted = (message: NewMessage) =>
      until(() => Promise.resolve(hook.posted.find(({ body }) => body.includes(message.to))), 10_000)

    it('posts the message, signed by Standard Webhooks with the bytes of the secret', async () => {
      byHook()
      const message: NewMessage = {
        ...fresh(),
        kind: 'invitation',
        mandateId: mandates.acme,
        mandateLabel: 'Acme',
        language: 'de',
      }
      await queue(message)
      const { headers, body } = await posted(message)
      const { id } = await settled(message, 'sent')
      expect(JSON.parse(body)).toEqual({
        id,
        kind: 'invitation',
        to: message.to,
        language: 'de',
        subject: 'Einladung zu Acme',
        text: expect.stringContaining(publicUrl + message.link!.path),
        html: expect.stringContaining('<!doctype html>'),
        data: {
          link: publicUrl + message.link!.path,
          mandateId: mandates.acme,
          mandateLabel: 'Acme',
          username: 'alice',
        },
        expiresAt: message.link!.expiresAt.toISOString(),
      })
      const timestamp = String(headers['webhook-timestamp'])
      expect(headers['webhook-id']).toBe(id)
      expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(10)
      const key = Buffer.from(notifySecret, 'utf8')
      const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
      expect(headers['webhook-signature']).toBe(`v1,${expected}`)
    })

    it.each([500, 404, 302])('tries again after %d, with the same webhook-id', async (status) => {
      hook.answerWith(status, { Location: hook.url })
      byHook()
      const message = fresh()
      await queue(message)
      const { id, last_error } = await tried(message, 1)
      expect(last_error).toBe(`webhook: HTTP ${status}`)
      hook.answerWith(200)
      await dueNow(message)
      await settled(message, 'sent')
      const ids = hook.posted
        .filter(({ body }) => body.includes(message.to))
        .map(({ headers }) => headers['webhook-id'])
      expect(ids).toEqual([id, id])
    })

    it('gives up at 410', async () => {
      hook.answerWith(410)
      byHook()
      const message = fresh()
      await queue(message)
      expect(await settled(message, 'failed')).toMatchObject({ attempts: 1, last_error: 'webhook: HTTP 410' })
    })

    it('waits 10 seconds for an answer and not longer', async () => {
      hook.answerWith(undefined)
      byHook()
      const message = fresh()
      await queue(message)
      const begun = performance.now()
      expect((await tried(message, 1)).last_error).toBe('webhook: no answer within 10 s')
      expect(performance.now() - begun).toBeGreaterThan(9000)
    }, 20_000)
  })

  it('never stores a link that a mail server repeats in its refusal', async () => {
    await mail.stop()
    mail = await startMailServer({
      onData: (stream, _session, callback) => {
        let text = ''
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
        stream.on('end', () => {
          const [found = ''] = /https:\/\/\S+/.exec(text.replace(/=\r\n/g, '')) ?? []
          callback(Object.assign(new Error(`5.7.1 refused: ${found} is spam`), { responseCode: 554 }))
        })
      },
    })
    send()
    const message = fresh()
    await queue(message)
    const { last_error } = await settled(message, 'failed')
    expect(last_error).toBe('SMTP: 554 5.7.1 refused: … is spam')
  })
})
