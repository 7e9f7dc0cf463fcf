import { choosePlace, currentPlace, nameIn, type Place } from './place.js'
import { ProblemError, problemOf } from './problem.js'
import { Renewals } from './renewal.js'

export { asProblem, ProblemError, problemOf, type Fault, type Problem, type Reason } from './problem.js'
export type { Place } from './place.js'

/** A client of the gateway for single-page apps. It uses the cookie, which scripts cannot read. */
export interface GatewayClient {
  /**
   * Calls `window.fetch` with the cookie, and with the mandate and instance of this tab. It renews an
   * expiring token first, in one tab for all. Returns refusals as responses, like `fetch`; rejects only
   * without a response.
   */
  fetch: typeof fetch
  /** Signs in with a password. Throws a `ProblemError`. */
  login: (username: string, password: string) => Promise<void>
  /** Ends the session, for all tabs. Throws a `ProblemError`. */
  logout: () => Promise<void>
  /** Returns the mandate and instance of this tab. */
  place: () => Place
  /** Changes the mandate or instance of this tab alone. Undefined fields stay. */
  enter: (place: Partial<Place>) => void
  /**
   * Calls the listener when the session has ended: by signing out here or in another tab, revoked, or
   * expired. Returns the function that removes the listener.
   */
  onEnd: (listener: () => void) => () => void
}

interface Options {
  /** The gateway's origin, if it differs from the page's. `CORS_ORIGINS` must list the page's. */
  baseUrl?: string
}

/** Codes of a 401 after which there is no session to renew. An expired token only needs renewing. */
const endings = new Set(['token_invalid', 'authentication_required', 'user_mismatch', 'user_disabled'])
const channelName = 'mandate-gateway'

/** Creates the client of a page. One a page is enough: tabs find each other by themselves. */
export function createGatewayClient({ baseUrl = '' }: Options = {}): GatewayClient {
  const send: typeof fetch = (input, init) => window.fetch(input, init)
  const renewals = new Renewals(baseUrl, send)
  const listeners = new Set<() => void>()
  const channel = new BroadcastChannel(channelName)
  const tellHere = () => {
    for (const listener of listeners) listener()
  }
  channel.onmessage = tellHere
  const end = () => {
    renewals.forget()
    channel.postMessage('ended')
    tellHere()
  }

  const through: typeof fetch = async (input, init) => {
    const request = new Request(typeof input === 'string' ? baseUrl + input : input, {
      credentials: 'include',
      ...init,
    })
    nameIn(request.headers, currentPlace())
    const since = Date.now()
    // if the renewal fails, the request's own response tells why
    if (renewals.isDue()) await renewals.renew(since)
    const response = await send(request.clone())
    if (response.status !== 401 && response.status !== 403) return response
    const { code } = await problemOf(response)
    if (endings.has(code)) end()
    if (code !== 'token_expired') return response
    const renewal = await renewals.renew(since)
    if (renewal === 'renewed') return await send(request)
    if (renewal !== 'ended') return renewal
    end()
    return response
  }

  const post = async (path: string, body?: unknown) => {
    const response = await send(baseUrl + path, {
      method: 'POST',
      credentials: 'include',
      ...(body === undefined
        ? {}
        : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new ProblemError(await problemOf(response))
    return response
  }

  return {
    fetch: through,
    login: async (username, password) => {
      const answer = (await (await post('/auth/login', { username, password })).json()) as {
        expiresAt: string
      }
      renewals.note(answer.expiresAt)
    },
    logout: async () => {
      await post('/auth/logout')
      end()
    },
    place: currentPlace,
    enter: choosePlace,
    onEnd: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
