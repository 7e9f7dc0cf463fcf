import { describe, expect, it } from '@jest/globals'
import { textsIn } from '../../src/domain/languages.js'
import { messageKinds, type NewMessage, type SecurityEvent } from '../../src/messages/message.js'
import { render, typedText } from '../../src/messages/render.js'

const link = { path: '/auth/x/TOKEN', expiresAt: new Date('2026-12-24T18:30:00Z') }
const url = 'https://gate.example/auth/x/TOKEN'
const base: NewMessage = { kind: 'invitation', to: 'ann@example.com', language: 'en', link }
const events = Object.keys(textsIn('en').mail)
  .filter((key) => key.startsWith('notice.'))
  .map((key) => key.slice(7) as SecurityEvent)

const all = ['en', 'de'].flatMap((language) => [
  ...messageKinds.map((kind) => ({ ...base, kind, language })),
  ...events.map((event): NewMessage => ({ kind: 'security_notice', to: base.to, language, event })),
  { kind: 'email_notice', to: base.to, language } satisfies NewMessage,
])

describe('a message', () => {
  it.each(all)('$kind $event in $language has a subject, a text and HTML, and no hole in them', (message) => {
    const { subject, text, html } = render(message, message.link && url)
    for (const part of [subject, text, html]) {
      expect(part.trim()).not.toBe('')
      expect(part).not.toMatch(/\{\w+\}|undefined|null/)
    }
  })

  it.each(all)(
    '$kind $event in $language holds no image, no script and no address but its link',
    (message) => {
      const rendered = render({ ...message, inviter: 'Eve', mandateLabel: 'Acme' }, message.link && url)
      const { text, html } = rendered
      expect(html).not.toMatch(/<(?:img|script|link|iframe|object|video|form|base)\b|url\(|\son\w+=/i)
      for (const part of [text, html]) {
        const addresses = part.match(/\b\w+:\/\/[^\s"<]+|mailto:|www\./g) ?? []
        expect(addresses).toEqual(
          message.link && message.kind !== 'security_notice' ? [url] : message.link ? addresses : [],
        )
      }
    },
  )

  it('says when its link ends, in its language', () => {
    expect(render(base, url).text).toContain('24 December 2026')
    expect(render({ ...base, language: 'de' }, url).text).toContain('24. Dezember 2026')
  })

  it('escapes what people typed', () => {
    const { html, text } = render({ ...base, inviter: '<b>Eve</b>', mandateLabel: 'A & "B"' }, url)
    expect(html).toContain('&lt;b&gt;Eve&lt;/b&gt;')
    expect(html).toContain('A &amp; &quot;B&quot;')
    expect(html).not.toContain('<b>')
    expect(text).toContain('<b>Eve</b> invites you to A & "B"')
  })
})

describe('typed text in a message', () => {
  it('is cut at 64 characters', () => {
    expect(typedText('ä'.repeat(100))).toBe('ä'.repeat(64))
    expect(typedText('😀'.repeat(65))).toBe('😀'.repeat(64))
  })

  it.each([
    ['a scheme', 'Acme https://evil.example'],
    ['www.', 'see WWW.evil.example'],
    ['an address', 'write to a@evil.example'],
    ['a line break', 'Acme\nBcc: x'],
    ['a control character', 'Acme\u0007'],
    ['a character that turns the direction', 'Acme\u202egnp.exe'],
  ])('is left out if it holds %s', (_, text) => {
    expect(typedText(text)).toBeUndefined()
    const { subject, text: body, html } = render({ ...base, mandateLabel: text, inviter: text }, url)
    for (const part of [subject, body, html]) expect(part).not.toMatch(/evil|Bcc|gnp|\p{Cc}(?<!\n)/iu)
    expect(body).toContain('An administrator invites you to an organisation')
  })
})
