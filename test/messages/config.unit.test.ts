import { describe, expect, it } from '@jest/globals'
import { ConfigError, loadConfig } from '../../src/config.js'

const secret = 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0'
const smtp = { SMTP_URL: 'smtp://mail.example:587', MAIL_FROM: 'gateway@example.com' }
const webhook = { NOTIFY_URL: 'https://notify.example/in', NOTIFY_SECRET: secret }

function faultsOf(environment: Record<string, string>): string[] {
  try {
    loadConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('the way out of messages', () => {
  it.each([
    ['SMTP', smtp],
    ['SMTP over TLS, with a login', { ...smtp, SMTP_URL: 'smtps://user:pa%40ss@mail.example:465' }],
    ['SMTP with a name in the sender', { ...smtp, MAIL_FROM: 'Mandate Gateway <gateway@example.com>' }],
    ['a webhook', webhook],
    ['a webhook on this machine, without TLS', { ...webhook, NOTIFY_URL: 'http://127.0.0.1:9/in' }],
    ['none', {}],
  ])('may be %s', (_, environment) => {
    expect(faultsOf(environment)).toEqual([])
  })

  it.each<[string, Record<string, string>, RegExp]>([
    ['SMTP without a sender', { SMTP_URL: smtp.SMTP_URL }, /^MAIL_FROM: must be set too/],
    ['a sender without SMTP', { MAIL_FROM: smtp.MAIL_FROM }, /^SMTP_URL: must be set too/],
    ['a webhook without a secret', { NOTIFY_URL: webhook.NOTIFY_URL }, /^NOTIFY_SECRET: must be set too/],
    ['a secret without a webhook', { NOTIFY_SECRET: secret }, /^NOTIFY_URL: must be set too/],
    ['both ways', { ...smtp, ...webhook }, /^NOTIFY_URL: must not be set with SMTP_URL/],
    [
      'a webhook without TLS',
      { ...webhook, NOTIFY_URL: 'http://notify.example/' },
      /^NOTIFY_URL: must start/,
    ],
    ['a short secret', { ...webhook, NOTIFY_SECRET: 'short' }, /^NOTIFY_SECRET: must be at least 32 bytes/],
    ['two senders', { ...smtp, MAIL_FROM: 'a@b.example, c@d.example' }, /^MAIL_FROM: must be an address/],
    ['a header in the sender', { ...smtp, MAIL_FROM: 'a\nBcc: <c@d.example>' }, /^MAIL_FROM: must be an/],
    ['another scheme', { ...smtp, SMTP_URL: 'http://mail.example' }, /^SMTP_URL: must be a URL/],
  ])('is a fault as %s', (_, environment, fault) => {
    const faults = faultsOf(environment)
    expect(faults).toEqual([expect.stringMatching(fault)])
    expect(faults.join()).not.toContain(secret)
  })

  it('may send 5 messages an hour of the kinds that are counted, unless set', () => {
    expect(loadConfig({}).RATE_LIMIT_MAIL).toEqual({ requests: 5, windowMs: 3_600_000 })
    expect(loadConfig({ RATE_LIMIT_MAIL: 'off' }).RATE_LIMIT_MAIL).toBeUndefined()
  })
})
