import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { ipKeyGenerator, rateLimit } from 'express-rate-limit'
import type { RateLimit } from '../config.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from './chain.js'

/** An IPv6 customer has a whole network, so one address of it is not one client. */
const addressKey = (req: Request) => ipKeyGenerator(req.clientAddress, 64)

function limiter(name: string, limit: RateLimit, keyOf: (req: Request) => string): Middleware {
  if (!limit) return (_req, _res, next) => next()
  const { windowMs, requests } = limit
  return rateLimit({
    windowMs,
    limit: requests,
    identifier: name,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: keyOf,
    validate: false, // the address comes from `clientAddress`, not from Express's `trust proxy`
    handler: (_req, _res, next) => {
      next(new GatewayError('rate_limited', `Too many requests: ${requests} are allowed in ${windowMs / 1000} s. Try again later.`))
    },
  })
}

/** Limits requests by the client's address. */
export function limitByAddress(limit: RateLimit): Middleware {
  return limiter('address', limit, addressKey)
}

/** Names the caller of a request, where it is known. */
type CallerOf = (req: Request) => string | undefined

/** Limits requests by caller and the mandate that the request names. */
export function limitByUser(limit: RateLimit, callerOf: CallerOf): Middleware {
  return limiter('user', limit, (req) => {
    const mandate = req.headers['x-mandate-id']
    const named = typeof mandate === 'string' && mandate.length === 36 ? mandate.toLowerCase() : ''
    return `${callerOf(req) ?? addressKey(req)} ${named}`
  })
}

/** A limit of a single route, counted by caller where there is one, else by address. */
export function limitRoute(name: string, limit: RateLimit, callerOf: CallerOf): Middleware {
  const identifier = createHash('sha256').update(name).digest('hex').slice(0, 12)
  return limiter(`route-${identifier}`, limit, (req) => callerOf(req) ?? addressKey(req))
}
