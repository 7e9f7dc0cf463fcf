import type { PortalClient } from '../authentication/current-client.js'
import type { Principal } from '../authentication/principal.js'
import type { DeniedSubject } from '../authorization/guards.js'
import type { RequestedPlace } from '../context/decide-placement.js'
import type { RequestContext } from '../context/request-context.js'
import type { Level } from '../domain/permissions.js'
import type { Middleware } from '../http/endpoint/chain.js'
import type { ErrorForm } from '../http/endpoint/endpoint.js'
import type { Watched } from '../http/watch.js'
import type { RequestSpan } from '../observability/tracing.js'
import type { Gateway } from './gateway.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** What the gateway's steps know of the request. The gateway's own code reads this alone. */
      state: RequestState
      /** For embedding programs: the embedded gateway that the request has passed. */
      gateway?: Gateway
      /** For embedding programs: the caller; undefined where the guard identifies none. */
      principal?: Principal | undefined
      /** For embedding programs: the mandate and instance; undefined where the guard asks for none. */
      context?: RequestContext | undefined
      /** For embedding programs: the level that the rules gave to the request's action. */
      accessLevel?: Level | undefined
    }
  }
}

/** What is known of a request when its head has been read. */
export interface Arrival {
  /** The request id: the caller's where it is well-formed, else new. */
  id: string
  /** `performance.now()` when the request's head had been read. */
  startedAt: number
  /** The client's address, behind as many proxies as are trusted. */
  clientAddress: string
  /** The host that the client asked for, as it or the nearest trusted proxy wrote it. */
  requestedHost: string | undefined
  /** The `Cookie` header with the gateway's cookies by their names without a prefix. */
  cookieHeader: string | undefined
  /** Hands over the connection; only a request that may become a WebSocket has it. */
  takeUpgrade: (() => Buffer) | undefined
}

/** Throws for a field that a step sets, when it is read without having been set. */
function neverSet(field: string, step: string): never {
  throw new Error(`The ${field} is read before the step ${step} has set it.`)
}

/**
 * What the steps of one request leave for those that follow. `identifyRequest` creates it, once a request.
 * A field without `undefined` in its type throws when it is read before its step has run. The others say
 * whether there is one; `requirePrincipal()` and its like are for handlers that cannot be without.
 */
export class RequestState implements Arrival {
  readonly id: string
  readonly startedAt: number
  readonly clientAddress: string
  readonly requestedHost: string | undefined
  readonly cookieHeader: string | undefined
  readonly takeUpgrade: (() => Buffer) | undefined
  /** Where traces are exported. */
  span: RequestSpan | undefined = undefined
  /** The path, where it has been understood. */
  settledPathname: string | undefined = undefined
  /** The query, where the path has been understood. */
  settledSearch: string | undefined = undefined
  /** The pattern of the endpoint or route that matched. */
  routePattern: string | undefined = undefined
  errorForm: ErrorForm | undefined = undefined
  /** Decides again; undefined when no caller is identified. */
  again: Middleware | undefined = undefined
  /** The cookies by name, if cookie-parser reads them as the gateway does. */
  parsedCookies: Record<string, string> | undefined = undefined
  private era: symbol | undefined = undefined
  private momentMs: number | undefined = undefined
  /** The caller; undefined when the endpoint identifies none. */
  principal: Principal | undefined = undefined
  /** The client of the portal; only on endpoints and routes of the portal. */
  portalClient: PortalClient | undefined = undefined
  /** The mandate that this request named, while it is not known that the caller may enter it. */
  unknownMandate: string | undefined = undefined
  /** The requested mandate and instance, whether the caller was admitted or not. */
  requestedPlace: RequestedPlace | undefined = undefined
  /** The mandate that the request named, or its instance's own, whether the caller was admitted or not. */
  namedMandateId: string | undefined = undefined
  /** The mandate and instance; undefined when the endpoint asks for none. */
  context: RequestContext | undefined = undefined
  /** The level that the rules gave to the request's action. */
  accessLevel: Level | undefined = undefined
  /** Until when the proof meets what the policies ask, in milliseconds since 1970. */
  assuredUntilMs = Infinity
  /** Whether the response has no end of its own. Then it is judged as time passes. */
  isEndless = false
  /** The decision on a route that only watches. */
  watched: Watched | undefined = undefined
  /** The code of the refusal, for the access line. */
  refusal: string | undefined = undefined
  /** The subject that the rules refused. */
  deniedSubject: DeniedSubject | undefined = undefined
  /** Whether the refusal is in the audit already. */
  isRefusalAudited = false

  constructor({ id, startedAt, clientAddress, requestedHost, cookieHeader, takeUpgrade }: Arrival) {
    this.id = id
    this.startedAt = startedAt
    this.clientAddress = clientAddress
    this.requestedHost = requestedHost
    this.cookieHeader = cookieHeader
    this.takeUpgrade = takeUpgrade
  }

  /** The path, normalised once: what is matched is what is sent. */
  get pathname(): string {
    return this.settledPathname ?? neverSet('path', 'settlePath')
  }

  /** The query with its question mark, as received, or ''. */
  get search(): string {
    return this.settledSearch ?? neverSet('query', 'settlePath')
  }

  settlePath(pathname: string, search: string): void {
    this.settledPathname = pathname
    this.settledSearch = search
  }

  /** The era of this node's knowledge in which the decision was made. */
  get decidedIn(): symbol {
    return this.era ?? neverSet('era of the decision', 'noteMoment')
  }

  set decidedIn(era: symbol) {
    this.era = era
  }

  /** When the decision was made, in milliseconds since 1970. */
  get decidedAtMs(): number {
    return this.momentMs ?? neverSet('moment of the decision', 'noteMoment')
  }

  set decidedAtMs(momentMs: number) {
    this.momentMs = momentMs
  }

  /** Returns the caller, for what only identified callers reach. */
  requirePrincipal(): Principal {
    return this.principal ?? neverSet('principal', 'authenticate')
  }

  /** Returns the client of the portal, for what only clients reach. */
  requirePortalClient(): PortalClient {
    return this.portalClient ?? neverSet('portal client', 'authenticate')
  }

  /** Returns the mandate and instance, for what only callers with a context reach. */
  requireContext(): RequestContext {
    return this.context ?? neverSet('context', 'resolveContext')
  }

  /** Returns a state of its own for a view of the request. It begins with what is known so far. */
  copy(): RequestState {
    return Object.assign(new RequestState(this), this)
  }
}
