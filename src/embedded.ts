import type { Server } from 'node:http'
import type { Express, RequestHandler } from 'express'
import { compose } from './gateway/compose.js'
import { loadConfig, namesRouteFile } from './config.js'
import { withDevelopmentSecrets } from './process/development-secrets.js'
import type { Gateway } from './gateway/chain.js'
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
 * A gateway as Express middleware, to be used before everything that it guards: it answers its own endpoints
 * and the routes of its table, and passes on the rest, which `requireUser` and the other guards then let in
 * or refuse. To be mounted at the root.
 */
export type EmbeddedGateway = RequestHandler & {
  /**
   * A server for the app with the gateway's limits on what clients may send, and with WebSockets for its
   * routes.
   */
  createServer: (app: Express) => Server
  /** Ends what the gateway has started. To be called when the server has closed. */
  close: () => Promise<void>
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The embedded gateway that the request has passed. */
      gateway?: Gateway
    }
  }
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

/** Whatever a policy asks for, decided by the embedded gateway, in whose words a refusal is answered. */
function require(policy: Policy): RequestHandler {
  const lanes = new WeakMap<Gateway, RequestHandler>()
  return (req, res, next) => {
    const { gateway: own } = req
    if (!own)
      throw new Error('A guard of mandate-gateway needs the gateway before it: app.use(await gateway())')
    const lane = lanes.get(own) ?? own.guard(policy)
    lanes.set(own, lane)
    return lane(req, res, next)
  }
}

/** Who may come in where. */
export type Place = Partial<Pick<Policy, 'mandate' | 'instance' | 'mandateFrom'>>

/**
 * Lets in callers with a valid token; `req.principal` is who they are. With a place also where:
 * `req.context`.
 */
export function requireUser(place: Place = {}): RequestHandler {
  return require({ ...signedIn, ...place })
}

/**
 * Counts and checks requests like all others, and lets everybody in; with `identify` it finds out who has a
 * token, and refuses a bad one.
 */
export function allowAnyone({ identify = false }: { identify?: boolean } = {}): RequestHandler {
  return require(identify ? { ...anyone, auth: 'optional' } : anyone)
}

/**
 * Lets in whose rules give them the action (by default what the method does) on the item, in the mandate that
 * the request names.
 */
export function requirePermission(subject: Subject, place: Place = {}): RequestHandler {
  return require({ ...signedInSomewhere, mandate: 'required', ...place, permission: subject })
}

/** Lets SysAdmins in; audited. */
export function requireSysAdmin(): RequestHandler {
  return require(sysAdmins)
}

/** Lets PlatformAdmins in; audited. */
export function requirePlatformAdmin(): RequestHandler {
  return require(platformAdmins)
}
