import { Agent, type IncomingHttpHeaders } from 'node:http'
import { beginRequest, bearer, readResponse } from '../../support/http-client.js'

/** A request as its client saw it; times are of this process's monotonic clock. */
export interface Answer {
  /** 0: no answer came. */
  status: number
  headers: IncomingHttpHeaders
  /** The parsed body; undefined where there was none. */
  body: any // eslint-disable-line @typescript-eslint/no-explicit-any -- looked at as it comes
  startedAt: number
  /** When the head of the answer was here. */
  answeredAt: number
}

/** What a request carries beside its path. */
export interface Ask {
  method?: string
  token?: string
  cookie?: string
  body?: unknown
  headers?: Record<string, string>
  timeoutMs?: number
}

/** A client with kept-alive connections of its own. */
export interface Client {
  ask: (path: string, options?: Ask) => Promise<Answer>
  close: () => void
}

const parsed = (text: string): unknown => {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Makes a client of one server, with an address of the loopback network if one is given. A request that gets
 * no answer resolves with status 0.
 */
export function clientOf(url: string, from?: string): Client {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 512,
    ...(from === undefined ? {} : { localAddress: from }),
  })
  return {
    ask: async (path, { method = 'GET', token, cookie, body, headers = {}, timeoutMs = 40_000 } = {}) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const startedAt = performance.now()
      const { req, response } = beginRequest(url, path, {
        method,
        agent,
        headers: {
          ...(token ? bearer(token) : {}),
          ...(cookie ? { Cookie: cookie } : {}),
          ...(text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
          ...headers,
        },
      })
      const limit = setTimeout(() => req.destroy(), timeoutMs)
      req.end(text)
      try {
        const res = await response
        const answeredAt = performance.now()
        const whole = await readResponse(res)
        return {
          status: whole.status,
          headers: whole.headers,
          body: parsed(whole.text),
          startedAt,
          answeredAt,
        }
      } catch {
        return { status: 0, headers: {}, body: undefined, startedAt, answeredAt: performance.now() }
      } finally {
        clearTimeout(limit)
      }
    },
    close: () => agent.destroy(),
  }
}

export const isAccepted = ({ status }: Answer) => status >= 200 && status < 300

/** The accepted ones of the requests that were started after that moment. */
export const acceptedAfter = (answers: Answer[], moment: number) =>
  answers.filter((answer) => isAccepted(answer) && answer.startedAt > moment)

/** How often each status came. */
export function tally(answers: Answer[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
