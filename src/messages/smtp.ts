import { createTransport } from 'nodemailer'
import { isLoopbackHost } from '../domain/loopback.js'
import { SendError, type WayOut } from './message.js'

const connectTimeoutMs = 10_000
const answerTimeoutMs = 20_000

const tokenLike = /[\w-]{24}/

/** How a server's refusal is said to an operator: without links and what looks like a token. */
const withoutLinks = (text: string) =>
  text
    .split(/[\p{Cc}\s]/u)
    .filter((word) => word !== '')
    .map((word) => (word.includes('://') || tokenLike.test(word) ? '…' : word))
    .join(' ')
    .slice(0, 200)

/** nodemailer's errors carry these, where a server answered. */
interface SmtpFailure {
  code?: string
  responseCode?: number
  response?: string
  message?: string
}

/**
 * Returns a failed attempt as a SendError. A 5xx answer to the message is final (RFC 5321 §4.2.1). One to the
 * login is not: it is about the configuration.
 */
function sendErrorOf(error: unknown): SendError {
  const { code, responseCode, response, message = 'it failed' } = (error ?? {}) as SmtpFailure
  const isFinal = code !== 'EAUTH' && responseCode !== undefined && responseCode >= 500
  return new SendError(`SMTP: ${withoutLinks(response ?? message)}`, isFinal)
}

/** Returns where SMTP_URL leads. To other machines it is TLS (`smtps:`) or STARTTLS, never plain text. */
function transportOf(smtpUrl: string) {
  const { protocol, hostname, port, username, password } = new URL(smtpUrl)
  const secure = protocol === 'smtps:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const isLocal = isLoopbackHost(hostname)
  return {
    host,
    port: Number(port || (secure ? 465 : 587)),
    secure,
    requireTLS: !secure && !isLocal,
    ignoreTLS: !secure && isLocal,
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    socketTimeout: answerTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
  }
}

/** Returns the domain of an address such as `Name <local@domain>`. */
const domainOf = (from: string) => /@([^\s>@]+)>?\s*$/.exec(from)?.[1] ?? 'localhost'

/** Opens the way out by mail (RFC 5321). */
export function smtpWayOut({ url, from }: { url: string; from: string }): WayOut {
  const transport = createTransport(transportOf(url))
  return {
    send: async ({ id, to, subject, text, html }) => {
      try {
        await transport.sendMail({
          from,
          to: { name: '', address: to },
          subject,
          text,
          html,
          messageId: `<${id}@${domainOf(from)}>`,
          headers: { 'Auto-Submitted': 'auto-generated' }, // RFC 3834: no out-of-office replies
        })
      } catch (error) {
        throw sendErrorOf(error)
      }
    },
    probe: async () => {
      try {
        await transport.verify()
      } catch (error) {
        throw sendErrorOf(error)
      }
    },
    close: () => transport.close(),
  }
}
