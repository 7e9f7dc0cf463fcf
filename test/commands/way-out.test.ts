import { describe, expect, it } from '@jest/globals'
import { examineWayOut } from '../../src/commands/doctor/messages.js'
import { startMailServer, startWebhook } from '../support/mail.js'

const secret = 'a webhook secret of the tests 0123456789'
const none = { SMTP_URL: undefined, MAIL_FROM: undefined, NOTIFY_URL: undefined, NOTIFY_SECRET: undefined }
const byMail = (url: string) => ({ ...none, SMTP_URL: url, MAIL_FROM: 'gate@example.org' })
const byHook = (url: string) => ({ ...none, NOTIFY_URL: url, NOTIFY_SECRET: secret })

describe('the doctor', () => {
  it('says that a mail server takes messages, and sends none', async () => {
    const mail = await startMailServer()
    try {
      expect(await examineWayOut(byMail(mail.url))).toMatchObject([{ level: 'ok', check: 'messages' }])
      expect(mail.mails).toEqual([])
    } finally {
      await mail.stop()
    }
  })

  it('names a mail server that is away, and never its password', async () => {
    const [finding] = await examineWayOut(byMail('smtp://gate:hunter2pass@127.0.0.1:9'))
    expect(finding).toMatchObject({ level: 'fault', check: 'messages' })
    expect(finding!.todo).toContain('SMTP_URL')
    expect(JSON.stringify(finding)).not.toContain('hunter2pass')
  })

  it('says that a mail server refuses the password', async () => {
    const mail = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, callback) => callback(new Error('no such account')),
    })
    try {
      const url = mail.url.replace('//', '//gate:hunter2pass@')
      const [finding] = await examineWayOut(byMail(url))
      expect(finding).toMatchObject({ level: 'fault', says: expect.stringContaining('535') })
      expect(JSON.stringify(finding)).not.toContain('hunter2pass')
    } finally {
      await mail.stop()
    }
  })

  it.each([
    [204, 'ok'],
    [400, 'ok'],
    [401, 'fault'],
    [404, 'fault'],
    [500, 'fault'],
    [302, 'fault'],
  ] as const)('takes a webhook that answers %d as %s', async (status, level) => {
    const hook = await startWebhook()
    try {
      hook.answerWith(status, status === 302 ? { Location: hook.url } : {})
      expect(await examineWayOut(byHook(hook.url))).toMatchObject([{ level }])
      expect(JSON.parse(hook.posted[0]!.body)).toEqual({ kind: 'probe' })
      expect(hook.posted[0]!.headers).toHaveProperty('webhook-signature')
    } finally {
      await hook.stop()
    }
  })

  it('has nothing against a gateway without a way out', async () => {
    expect(await examineWayOut(none)).toMatchObject([{ level: 'ok' }])
  })
})
