import { setTimeout as pause } from 'node:timers/promises'
import { clientOf, type Answer, type Ask, type Client } from '../../faults/support/http.js'
import type { TestDatabase } from '../../support/database.js'
import { mandates, tokenFor } from '../../support/demo.js'
import { openWebSocket } from '../../support/web-sockets.js'
import { beginRequest } from '../../support/http-client.js'

/** A request of the load, and what became of it. */
export interface Outcome extends Answer {
  what: string
  method: string
  /** Whether a node that has answered it before can answer it from memory. */
  isRemembered: boolean
}

/**
 * Clients at work: each with an address and a kept-alive connection of its own, one request after the other.
 */
export interface Load {
  outcomes: Outcome[]
  /** How streams came to their end: `events: 200 ended`, `socket: 1001`. */
  ends: { what: string; at: number }[]
  stop: () => Promise<void>
}

interface Step {
  what: string
  path: string
  ask: Ask
  isRemembered: boolean
}

/** Below the 1200 a minute that an address has by default. */
const everyMs = 80
const inAcme = { 'X-Mandate-Id': mandates.acme }

/**
 * The requests of a caller, in turn: forwarded and answered by the gateway, by bearer token and by cookie,
 * safe and not.
 */
function stepsOf(token: string, mayWrite: boolean): Step[] {
  return [
    { what: 'forward', path: '/api/crm/contacts', ask: { token, headers: inAcme }, isRemembered: true },
    {
      what: 'forward by cookie',
      path: '/api/crm/contacts',
      ask: { cookie: `auth_token=${token}`, headers: inAcme },
      isRemembered: true,
    },
    { what: 'context', path: '/auth/context', ask: { token, headers: inAcme }, isRemembered: true },
    ...(mayWrite
      ? [
          {
            what: 'forward with a body',
            path: '/api/crm/echo',
            ask: { method: 'POST', token, headers: inAcme, body: { some: 'thing' } },
            isRemembered: true,
          },
        ]
      : []),
    { what: 'me', path: '/auth/me', ask: { token }, isRemembered: false },
  ]
}

/** Starts the load on nginx. Its users are the demo's. */
export async function startLoad(url: string, database: TestDatabase): Promise<Load> {
  const outcomes: Outcome[] = []
  const ends: Load['ends'] = []
  const stopping = new AbortController()
  const clients: Client[] = []
  let addresses = 10
  const clientAt = () => {
    const client = clientOf(url, `127.0.0.${(addresses += 1)}`)
    clients.push(client)
    return client
  }
  const isOver = () => stopping.signal.aborted
  const ask = async (client: Client, { what, path, ask: how, isRemembered }: Step) => {
    const answer = await client.ask(path, how)
    outcomes.push({ ...answer, what, method: how.method ?? 'GET', isRemembered })
    return answer
  }

  const calls = async (token: string, mayWrite: boolean, first: number) => {
    const client = clientAt()
    const steps = stepsOf(token, mayWrite)
    for (let turn = first; !isOver(); turn += 1) {
      await ask(client, steps[turn % steps.length]!)
      await pause(everyMs)
    }
  }
  /** Signs in, asks, refreshes, signs out. */
  const sessions = async (username: string) => {
    const client = clientAt()
    while (!isOver()) {
      const login = await ask(client, {
        what: 'login',
        path: '/auth/login',
        ask: { method: 'POST', body: { username, password: 'demo-password-1' } },
        isRemembered: false,
      })
      let cookie = cookiesOf(login)
      if (cookie !== '') {
        await ask(client, { what: 'me by cookie', path: '/auth/me', ask: { cookie }, isRemembered: false })
        cookie =
          cookiesOf(
            await ask(client, {
              what: 'refresh',
              path: '/auth/refresh',
              ask: { method: 'POST', cookie },
              isRemembered: false,
            }),
          ) || cookie
        await ask(client, {
          what: 'logout',
          path: '/auth/logout',
          ask: { method: 'POST', cookie },
          isRemembered: false,
        })
      }
      await pause(400)
    }
  }
  /** Keeps a stream of events open; one that ends is opened again. */
  const events = async (token: string) => {
    while (!isOver()) {
      const startedAt = performance.now()
      const { req, response } = beginRequest(url, '/api/crm/events', {
        headers: { Authorization: `Bearer ${token}`, ...inAcme },
      })
      const end = () => req.destroy()
      stopping.signal.addEventListener('abort', end)
      req.end()
      const res = await response.catch(() => undefined)
      const head = {
        what: 'events',
        method: 'GET',
        isRemembered: true,
        headers: res?.headers ?? {},
        status: res?.statusCode ?? 0,
        startedAt,
        answeredAt: performance.now(),
      }
      let text = ''
      res
        ?.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        .on('error', () => undefined)
      const isOpen = head.status === 200
      if (isOpen) outcomes.push({ ...head, body: undefined })
      if (res) await new Promise((resolve) => res.once('close', resolve))
      if (isOver()) return
      if (isOpen)
        ends.push({ what: `events: ${res?.complete ? 'ended' : 'broken off'}`, at: performance.now() })
      else outcomes.push({ ...head, body: text === '' ? undefined : JSON.parse(text) })
      stopping.signal.removeEventListener('abort', end)
      if (res?.statusCode !== 200) await pause(everyMs)
    }
  }
  /** Keeps a WebSocket open, which answers each word; one that ends is opened again. */
  const sockets = async (token: string) => {
    while (!isOver()) {
      const startedAt = performance.now()
      const opened = await openWebSocket(`${url}/api/crm/ws`, { Authorization: `Bearer ${token}`, ...inAcme })
      outcomes.push({
        what: 'socket',
        method: 'GET',
        isRemembered: true,
        headers: opened.headers,
        body: opened.body === '' ? undefined : JSON.parse(opened.body),
        status: opened.status,
        startedAt,
        answeredAt: performance.now(),
      })
      if (opened.status !== 101) {
        await pause(everyMs)
        continue
      }
      const talk = setInterval(() => {
        if (opened.socket.readyState === 1) opened.socket.send('word')
      }, everyMs)
      const end = () => opened.socket.terminate()
      stopping.signal.addEventListener('abort', end)
      const [code] = await opened.closed
      clearInterval(talk)
      stopping.signal.removeEventListener('abort', end)
      if (!isOver()) ends.push({ what: `socket: ${code}`, at: performance.now() })
    }
  }

  const [alice, bob, carried] = (await Promise.all(
    (['alice', 'bob', 'alice'] as const).map(async (user) => (await tokenFor(database, user)).token),
  )) as [string, string, string]
  const working = [
    ...[alice, bob, alice, bob, alice, bob].map((token, index) => calls(token, token === alice, index)),
    sessions('alice'),
    sessions('erin'),
    events(carried),
    sockets(carried),
  ]
  return {
    outcomes,
    ends,
    stop: async () => {
      stopping.abort()
      await Promise.all(working)
      for (const client of clients) client.close()
    },
  }
}

/** The cookies that an answer sets, as a browser sends them. */
const cookiesOf = ({ headers }: Answer) =>
  (headers['set-cookie'] ?? [])
    .map((cookie) => cookie.split(';')[0])
    .filter((cookie) => !cookie?.endsWith('='))
    .join('; ')

/** The outcomes that are not what the request was for, each named once with how often it came. */
export function failuresAmong(outcomes: Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { what, status, body } of outcomes) {
    if (status === 101 || (status >= 200 && status < 300)) continue
    const name = `${what}: ${status} ${body?.code ?? ''}`.trim()
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
