import corsMiddleware from 'cors'
import type { Response } from 'express'
import type { Middleware } from './endpoint/chain.js'
import { endWithout } from './head.js'

/** Response headers that pages of other origins may read. */
const exposedHeaders = ['X-Request-Id', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'Location', 'ETag']

/** Returns the CORS headers for a request of this `Origin`: names and values, in turn. */
export type CorsHeaders = (origin: string | undefined) => string[]

/**
 * Creates the CORS headers of refusals that are sent before `allowOrigins`, so that single-page apps can read
 * the reason (Fetch standard, CORS check). Without origins there are none.
 */
export function corsHeadersOf(origins: string[]): CorsHeaders {
  const allowed = new Set(origins)
  return (origin) => {
    if (allowed.size === 0) return []
    if (origin === undefined || !allowed.has(origin.toLowerCase())) return ['Vary', 'Origin']
    return [
      'Access-Control-Allow-Origin',
      origin,
      'Access-Control-Allow-Credentials',
      'true',
      'Access-Control-Expose-Headers',
      exposedHeaders.join(','),
      'Vary',
      'Origin',
    ]
  }
}

/** Returns whether `allowOrigins` has run for the response, so that its headers are sent with it. */
export function hasCors(res: Response): boolean {
  return res.hasHeader('Access-Control-Allow-Origin') || res.pendingHeaders.includes('Vary')
}

/**
 * Lets the pages of `origins` call with credentials and read the headers that callers need. Other pages get
 * no CORS header.
 */
export function allowOrigins(origins: string[]): Middleware {
  if (origins.length === 0) return (_req, _res, next) => next()
  const cors = corsMiddleware({
    origin: origins,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders,
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
