import corsMiddleware from 'cors'
import type { Middleware } from './chain.js'
import { endWithout } from './head.js'

/** Lets the pages of `origins` call with credentials and read the headers that callers need; everybody else gets no CORS header. */
export function allowOrigins(origins: string[]): Middleware {
  if (origins.length === 0) return (_req, _res, next) => next()
  const cors = corsMiddleware({
    origin: origins,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['X-Request-Id', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'Location', 'ETag'],
    maxAge: 600,
    preflightContinue: true,
  })
  const allowed = new Set(origins)
  return (req, res, next) => {
    const origin = req.headers.origin?.toLowerCase()
    if (origin === undefined || !allowed.has(origin)) {
      res.pendingHeaders.push('Vary', 'Origin')
      next()
      return
    }
    const isPreflight = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined
    cors(req, res, () => {
      if (!isPreflight) {
        next()
        return
      }
      endWithout(res, 204)
    })
  }
}
