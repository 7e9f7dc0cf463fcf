import express, { type Express, type Request, type Response } from 'express'
import { rememberDenials } from '../authorization/denials.js'
import { admission } from './admission.js'
import type { Dependencies } from './dependencies.js'
import type { Gateway } from './gateway.js'
import { identifyRequest } from './identify-request.js'
import { consolePages } from '../console/pages.js'
import { showProfiles } from '../directory/show-profiles.js'
import { GatewayError } from '../errors.js'
import { chain, type Middleware } from '../http/endpoint/chain.js'
import { allowOrigins, corsHeadersOf } from '../http/cors.js'
import { showPending } from '../http/head.js'
import { mountEndpoints, mountPages, serveDirectly, type Endpoint } from '../http/endpoint/endpoint.js'
import type { Admit } from '../http/endpoint/policy.js'
import { checkQuery, normalisePath } from '../http/normalise-path.js'
import { answerProblem } from '../http/endpoint/problem.js'
import { refuseMalformed } from '../http/refuse-malformed.js'
import { watchBody } from '../http/unfinished-body.js'
import { logAccess } from '../http/log-access.js'
import type { AccessLine, Tier } from '../observability/access-line.js'
import { ownEndpoints } from './endpoints.js'
import { portalErrorPage } from '../portal/error-page.js'
import { forwardByTable } from '../proxy/forward-by-table.js'
import { createIdentities } from '../proxy/identity.js'
import { isOwnPath } from '../proxy/route-schema.js'
import { verifyForProxies } from '../proxy/forward-auth-endpoints.js'
import { consolePrefix } from '../system/shipped-texts.js'
import { changedTexts, livePortalTexts } from '../system/live-texts.js'

/** Creates Express's router with the settings that the gateway needs. */
const createRouter = () =>
  express().disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing')

/**
 * Creates the steps of every request, from top to bottom. Their order is behaviour: test/http/order.test.ts
 * holds it.
 */
function createArrival(deps: Dependencies, admit: Admit, endpoints: Endpoint[]): Middleware {
  const { config } = deps
  const forwarding = {
    routes: deps.routes,
    admit,
    streams: deps.node.streams,
    identityFor: createIdentities({ keys: deps.identityKeys }),
    counts: deps.counts,
    trustProxy: config.TRUST_PROXY,
  }
  return chain(
    // every later log line carries its id
    identifyRequest({
      trustProxy: config.TRUST_PROXY,
      trustsForwardedHost: config.TRUST_FORWARDED_HOST,
      isDraining: deps.isDraining,
      prefixesCookies: config.COOKIE_PREFIX === 'host',
      isHttps: config.PUBLIC_URL?.startsWith('https:') === true,
    }),
    ...beginSpan(deps.tracing),
    logAccess(takeLine(deps), {
      userOf: (req) => req.state.principal?.user.id ?? req.state.watched?.user,
      mandateOf: (req) =>
        req.state.context?.mandateId ?? req.state.portalClient?.mandateId ?? req.state.watched?.mandate,
      tierOf,
    }),
    deps.load.refuse,
    refuseMalformed,
    watchBody,
    settlePath,
    allowOrigins(config.CORS_ORIGINS),
    forwardByTable(forwarding), // routes of the table end here
    verifyForProxies(forwarding), // questions of other proxies
    serveDirectly(endpoints, admit), // the gateway's own endpoints without path parameters
  )
}

interface Ways {
  app: Express
  admit: Admit
  arrive: Middleware
  refuse: (error: unknown, req: Request, res: Response) => void
}

/** Returns the ways into a gateway: as a program, as middleware, and as a guard. */
function waysIn({ app, admit, arrive, refuse }: Ways): Gateway {
  return {
    listener: (raw, rawResponse) => {
      // The chain uses only what Node's own objects have. The router gives the requests that it serves
      // everything else of Express's types.
      const [req, res] = [raw, rawResponse] as unknown as [Request, Response]
      arrive(req, res, (error?: unknown) => {
        if (error === undefined) app(req, res)
        else refuse(error, req, res)
      })
    },
    middleware: (req, res, next) => {
      arrive(req, res, (error?: unknown) => {
        if (error !== undefined) refuse(error, req, res)
        else if (isOwnPath(req.state.pathname)) app(req, res)
        else {
          showPending(res)
          next()
        }
      })
    },
    guard: (policy) => {
      const admitted = chain(...admit(policy, 'ambient').steps)
      return (req, res, next) =>
        admitted(req, res, (error?: unknown) => {
          if (error !== undefined) refuse(error, req, res)
          else {
            showDecision(req)
            showPending(res)
            next()
          }
        })
    },
  }
}

/**
 * Builds the gateway: the steps of every request, then Express's router for what has path parameters, and the
 * one place where an error becomes a response.
 */
export function buildGateway(deps: Dependencies): Gateway {
  const { config, logger } = deps
  const app = createRouter()
  const onFirstEntry = showProfiles({ sql: deps.database, logger })
  const admit = admission({ ...deps, onFirstEntry })
  const denials = rememberDenials({ audit: deps.audit })

  const textsOf = livePortalTexts(deps.database)
  const endpoints = ownEndpoints({ ...deps, denials, textsOf, onFirstEntry })
  mountEndpoints(app, endpoints, admit)
  mountPages(
    app,
    consolePages({ config, changedTexts: changedTexts({ sql: deps.database, prefix: consolePrefix }) }),
    admit,
  )
  app.use((_req, _res, next) => next(new GatewayError('not_found', 'There is nothing at this path')))
  const answer = answerProblem(logger, {
    ownPage: portalErrorPage(textsOf),
    onRefusal: denials.note,
    corsHeaders: corsHeadersOf(config.CORS_ORIGINS),
  })
  app.use(answer)

  const arrive = createArrival(deps, admit, endpoints)
  const refuse = (error: unknown, req: Request, res: Response) => answer(error, req, res, () => undefined)
  return waysIn({ app, admit, arrive, refuse })
}

/** Shows the handlers of an embedding program what was decided. */
function showDecision(req: Request): void {
  req.principal = req.state.principal
  req.context = req.state.context
  req.accessLevel = req.state.accessLevel
}

const tierOf = ({ state: { context } }: Request): Tier => {
  if (context === undefined || context.mandateId === null) return 'none'
  return context.entry.byPlatformLevel ? 'platform' : 'member'
}

/** The step that begins a request's span; none without an exporter. */
function beginSpan(tracing: Dependencies['tracing']): Middleware[] {
  if (!tracing) return []
  return [
    (req, _res, next) => {
      req.state.span = tracing.begin(req)
      next()
    },
  ]
}

/** Returns the function that logs and counts a request's access line, also for its mandate. */
function takeLine({
  logRequest,
  metrics: { requests },
  usage,
}: Dependencies): (line: AccessLine, req: Request) => void {
  return (line, { state: { namedMandateId: named, portalClient, span } }) => {
    const namedMandateId = named ?? portalClient?.mandateId
    logRequest(line)
    span?.end(line)
    requests.count(line)
    if (namedMandateId !== undefined)
      usage.count(namedMandateId, !line.granted && line.status < 500 && line.reason !== 'client_closed')
  }
}

/** Normalises the path once, for everything that matches or forwards it. */
const settlePath: Middleware = (req, _res, next) => {
  const query = req.url.indexOf('?')
  const search = query === -1 ? '' : req.url.slice(query)
  const pathname = normalisePath(query === -1 ? req.url : req.url.slice(0, query))
  req.state.settlePath(pathname, search)
  checkQuery(search)
  req.url = pathname + search
  next()
}
