import type { Server } from 'node:http'
import type { Express, RequestHandler } from 'express'
import { compose } from './gateway/compose.js'
import { loadConfig, namesRouteFile } from './config.js'
import { withDevelopmentSecrets } from './process/development-secrets.js'
import type { Gateway } from './gateway/gateway.js'
import {
  anyone,
  platformAdmins,
  signedIn,
  signedInSomewhere,
  sysAdmins,
  type Policy,
  type Subject,
} from './http/endpoint/policy.js'
import { createLog } from './observability/logger.js'
import { createMetrics } from './observability/metrics.js'
import { offerSetup } from './process/offer-setup.js'
import { openMetrics } from './process/metrics-port.js'
import { Lifecycle } from './gateway/lifecycle.js'
import { prepare } from './process/prepare.js'
import { isOnTerminal } from './process/stop-signals.js'

/** How an embedded gateway is set up. */
export interface GatewayOptions {
  /** Variables as of the environment, which is where they come from by default. */
  environment?: Record<string, string | undefined>
  /** Takes the lines of the log; standard output by default. */
  write?: (line: string) => void
}

/**
 * A gateway as Express middleware. Mount it at the root, before everything that it guards. It responds to its
 * own endpoints and to the routes of its table. It passes on other requests, which `requireUser` and the other
 * guards then admit or refuse.
 */
export type EmbeddedGateway = RequestHandler & {
  /**
   * A server for the app with the gateway's limits on what clients may send, and with WebSockets for its
   * routes.
   */
  createServer: (app: Express) => Server
  /** Stops everything that the gateway has started. Call it after the server has closed. */
  close: () => Promise<void>
}

/**
 * Starts a gateway inside this program: its database (embedded unless DATABASE_URL is set), migrations and
 * node. Where GATEWAY_ROUTES is not set and there is no `routes.yaml`, there are no routes. Rejects with a
 * ConfigError or RouteTableError.
 */
export async function gateway({
  environment,
  write = (line) => process.stdout.write(line),
}: GatewayOptions = {}): Promise<EmbeddedGateway> {
  const { config } = await withDevelopmentSecrets(loadConfig(environment))
  const log = createLog(config, { write, flush: () => undefined })
  const lifecycle = new Lifecycle()
  const close = () =>
    lifecycle.stop((part, error) => log.logger.error('a part did not stop', { part, error }))
  try {
    const prepared = await prepare(config, log.logger, lifecycle)
    const metrics = createMetrics()
    const scrape = () => metrics.registry.metrics()
    await openMetrics(config, scrape, log.logger, lifecycle)
    const address = `${config.HOST}:${config.PORT}`
    const { gateway: own, createServer } = await compose(config, {
      log,
      prepared,
      lifecycle,
      metrics,
      scrape,
      address: () => address,
      routesMayBeMissing: !namesRouteFile(environment),
      watchesRoutes: isOnTerminal(),
    })
    await offerSetup(config, prepared, config.PUBLIC_URL ?? `http://${address}`, log.logger, write)
    const middleware: RequestHandler = (req, res, next) => {
      req.gateway = own
      own.middleware(req, res, next)
    }
    return Object.assign(middleware, { createServer, close })
  } catch (error) {
    await close()
    throw error
  }
}

/** Returns middleware that applies a policy. The embedded gateway decides, and responds to what it refuses. */
function require(policy: Policy): RequestHandler {
  const guards = new WeakMap<Gateway, RequestHandler>()
  return (req, res, next) => {
    const { gateway: own } = req
    if (!own)
      throw new Error('A guard of mandate-gateway needs the gateway before it: app.use(await gateway())')
    const guard = guards.get(own) ?? own.guard(policy)
    guards.set(own, guard)
    return guard(req, res, next)
  }
}

/** Which mandate and instance a request must name. */
export type Place = Partial<Pick<Policy, 'mandate' | 'instance' | 'mandateFrom'>>

/**
 * Admits callers with a valid token and sets `req.principal`. With a place it also resolves the mandate and
 * sets `req.context`.
 */
export function requireUser(place: Place = {}): RequestHandler {
  return require({ ...signedIn, ...place })
}

/**
 * Admits everybody, but counts and checks requests like all others. With `identify` it sets `req.principal`
 * for callers with a token, and refuses an invalid token.
 */
export function allowAnyone({ identify = false }: { identify?: boolean } = {}): RequestHandler {
  return require(identify ? { ...anyone, auth: 'optional' } : anyone)
}

/**
 * Admits callers whose rules grant the action on the item in the mandate that the request names. By default
 * the action follows from the HTTP method.
 */
export function requirePermission(subject: Subject, place: Place = {}): RequestHandler {
  return require({ ...signedInSomewhere, mandate: 'required', ...place, permission: subject })
}

/** Admits SysAdmins. Each use is audited. */
export function requireSysAdmin(): RequestHandler {
  return require(sysAdmins)
}

/** Admits PlatformAdmins. Each use is audited. */
export function requirePlatformAdmin(): RequestHandler {
  return require(platformAdmins)
}
