import { fillIn, textsIn, type Language, type Locale } from '../domain/languages.js'
import { html } from '../http/pages/html.js'
import type { NewMessage } from './message.js'

type Texts = Locale['mail']

const longest = 64
/** Control characters, line separators, and what turns the direction of writing. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const addressLike = /:\/\/|www\.|@/i

/**
 * Returns a text that a person typed, as a message may show it: at most 64 characters. Undefined for one that
 * a mail program could turn into an address, or that holds a control character.
 */
export function typedText(text: string | undefined): string | undefined {
  if (text === undefined || unprintable.test(text) || addressLike.test(text)) return undefined
  return Array.from(text.trim()).slice(0, longest).join('') || undefined
}

const timeIn = (language: Language, time: Date) =>
  new Intl.DateTimeFormat(textsIn(language).locale, {
    dateStyle: 'long',
    timeStyle: 'short',
    timeZone: 'UTC',
  }).format(time)

/** The key of a message's texts: of its kind, or of what it reports. */
function keyOf({ kind, event, link }: NewMessage): Exclude<keyof Texts, 'hello' | 'hello.name'> {
  if (kind === 'security_notice') return `notice.${event ?? 'password_changed'}`
  return kind === 'email_notice' && link === undefined ? 'email_notice.admin' : kind
}

type WithButton = Extract<keyof Texts, `button.${string}`>
const buttons: Partial<Record<NewMessage['kind'], WithButton>> = {
  invitation: 'button.invitation',
  first_access: 'button.first_access',
  password_reset: 'button.password_reset',
  email_confirm: 'button.email_confirm',
  email_notice: 'button.email_notice',
}

/** A message's texts in its language. */
export interface Rendered {
  subject: string
  text: string
  html: string
}

function linesOf(message: NewMessage): { subject: string; lines: string[]; after: string[] } {
  const { language, link } = message
  const texts = textsIn(language).mail
  const values = {
    username: typedText(message.username) ?? '',
    mandate: typedText(message.mandateLabel) ?? texts['some.mandate'],
    inviter: typedText(message.inviter) ?? texts['some.inviter'],
    time: link ? timeIn(language, link.expiresAt) : '',
  }
  const say = (text: string) => fillIn(text, values, language)
  const key = keyOf(message)
  const hello = texts[values.username === '' ? 'hello' : 'hello.name']
  const subject: Readonly<Record<string, string>> = texts
  return {
    subject: say(subject[`subject.${key}`] ?? ''),
    lines: [say(hello), say(subject[key] ?? '')],
    after: [...(link ? [say(texts.once)] : []), say(texts[link ? 'ignore' : 'ignore.notice'])],
  }
}

/**
 * Returns a message as text and as HTML. Neither holds an image, a script or an address but the link; what
 * people typed is escaped, cut, or left out.
 */
export function render(message: NewMessage, url: string | undefined): Rendered {
  const { subject, lines, after } = linesOf(message)
  const texts = textsIn(message.language).mail
  const button = buttons[message.kind]
  const paragraphs = (some: string[]) => some.map((line) => html`<p style="margin:0 0 16px">${line}</p>\n`)
  const { markup } = html`<!doctype html>
<html lang="${message.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${subject}</title>
</head>
<body style="margin:0;padding:24px 12px;font:16px/1.5 system-ui,sans-serif">
<div style="max-width:480px;margin:0 auto;overflow-wrap:anywhere">
<h1 style="margin:0 0 16px;font-size:20px;line-height:1.25">${subject}</h1>
${paragraphs(lines)}${
    url !== undefined &&
    button !== undefined &&
    html`<p style="margin:24px 0"><a href="${url}" style="display:inline-block;padding:10px 20px;border-radius:6px;background:#1f5fbf;color:#ffffff;font-weight:600;text-decoration:none">${texts[button]}</a></p>\n`
  }${paragraphs(after)}</div>
</body>
</html>
`
  const plain = [...lines, ...(url === undefined ? [] : [url]), ...after]
  return { subject, text: `${plain.join('\n\n')}\n`, html: markup }
}
