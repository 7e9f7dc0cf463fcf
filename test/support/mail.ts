import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { until } from './until.js'

/** A mail as a server has taken it. */
export interface Mail {
  from: string
  to: string[]
  headers: Record<string, string>
  text: string
  html: string
  raw: string
}

const quotedPrintable = (body: string) =>
  Buffer.from(
    body
      .replace(/=\r?\n/g, '')
      .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

function decodeBody(head: string, body: string): string {
  if (/content-transfer-encoding: base64/i.test(head)) return Buffer.from(body, 'base64').toString('utf8')
  return /content-transfer-encoding: quoted-printable/i.test(head) ? quotedPrintable(body) : body
}

/** RFC 2047, as far as a subject needs it. */
const decodeWords = (text: string) =>
  text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      kind.toLowerCase() === 'b'
        ? Buffer.from(word, 'base64').toString('utf8')
        : quotedPrintable(word.replaceAll('_', ' ')),
    )

const splitHead = (part: string): [string, string] => {
  const end = part.indexOf('\r\n\r\n')
  return [part.slice(0, end).replace(/\r\n[ \t]+/g, ' '), part.slice(end + 4)]
}

function parseMail(raw: string, from: string, to: string[]): Mail {
  const [head, body] = splitHead(raw)
  const headers = Object.fromEntries(
    head.split('\r\n').map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim())]
    }),
  )
  const boundary = /boundary="([^"]+)"/.exec(head)?.[1]
  const parts =
    boundary === undefined ? [] : body.split(`--${boundary}`).map((part) => part.replace(/^\r\n/, ''))
  const ofType = (type: string) => {
    const found = parts
      .map(splitHead)
      .find(([partHead]) => partHead.toLowerCase().includes(`content-type: ${type}`))
    return found ? decodeBody(found[0], found[1]) : ''
  }
  return { from, to, headers, text: ofType('text/plain'), html: ofType('text/html'), raw }
}

/** A mail server of the tests: real SMTP. */
export interface MailServer {
  /** For SMTP_URL. */
  url: string
  mails: Mail[]
  /** Answers the mails to an address, as soon as there are so many. */
  to: (address: string, count?: number) => Promise<Mail[]>
  /** What RCPT is answered from now on; undefined: it is taken. */
  refuseWith: (code: number | undefined) => void
  stop: () => Promise<void>
}

/** Starts it on a free port, or on that port. */
export async function startMailServer(options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
  const mails: Mail[] = []
  let refusal: number | undefined
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'], // the gateway is on the same machine
    closeTimeout: 100,
    onRcptTo: (_address, _session, callback) => {
      if (refusal === undefined) callback()
      else callback(Object.assign(new Error('5.1.1 no such mailbox'), { responseCode: refusal }))
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        const from = mailFrom === false ? '' : mailFrom.address
        const recipients = rcptTo.map(({ address }) => address)
        mails.push(parseMail(Buffer.concat(chunks).toString('utf8'), from, recipients))
        callback()
      })
    },
    ...options,
  })
  server.on('error', () => undefined) // clients that go away
  server.listen(port, '127.0.0.1')
  await once(server.server, 'listening')
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    mails,
    to: (address, count = 1) =>
      until(() => {
        const found = mails.filter((mail) => mail.to.includes(address))
        return Promise.resolve(found.length >= count ? found : undefined)
      }, 10_000),
    refuseWith: (code) => {
      refusal = code
    },
    stop: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** The link of a mail, from its text. */
export function linkOf({ text }: { text: string }): string {
  const [link] = /https?:\/\/\S+/.exec(text) ?? []
  if (link === undefined) throw new Error('the mail has no link')
  return link
}

/** The path of a link. */
export const pathOf = (link: string) => new URL(link).pathname

/** A request that a webhook got. */
export interface Posted {
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** A webhook of the tests. */
export interface Webhook {
  url: string
  posted: Posted[]
  /** What it answers from now on. `undefined`: nothing, for as long as it is open. */
  answerWith: (status: number | undefined, headers?: Record<string, string>) => void
  stop: () => Promise<void>
}

/** Starts it on a free port. It answers 204. */
export async function startWebhook(): Promise<Webhook> {
  const posted: Posted[] = []
  let status: number | undefined = 204
  let answerHeaders: Record<string, string> = {}
  const server: Server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      posted.push({ headers: req.headers, body: Buffer.concat(chunks).toString('utf8') })
      if (status !== undefined) res.writeHead(status, answerHeaders).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify`,
    posted,
    answerWith: (next, headers = {}) => {
      status = next
      answerHeaders = headers
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
