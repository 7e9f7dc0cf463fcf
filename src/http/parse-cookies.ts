import cookieParser from 'cookie-parser'
import type { Request } from 'express'
import type { Middleware } from './endpoint/chain.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The cookies by name, where cookie-parser has read them as the gateway does. */
      parsedCookies?: Record<string, string>
    }
  }
}

/** Nothing is decoded: a token holds no `%`. */
const parse = cookieParser(undefined, { decode: (value) => value })

/**
 * What cookie-parser reads otherwise than `cookieValues`: quotes, which it strips; `j:`, which is JSON to it;
 * blanks beyond ASCII.
 */
const readOtherwise = /"|j:|[^\t\x20-\x7e]/

/** An embedding program may have parsed the cookies in a way of its own. */
const isReadOtherwise = (req: Pick<Request, 'headers'>) =>
  Object.hasOwn(req, 'cookies') || readOtherwise.test(req.headers.cookie ?? '')

/**
 * Reads the `Cookie` header with cookie-parser into `req.parsedCookies`, for what Express's router serves.
 * Runs behind the check for repeated cookies, as cookie-parser keeps the first of two. Where it would read a
 * header otherwise than `cookieValues` does, nothing is set.
 */
export const parseCookies: Middleware = (req, res, next) => {
  if (isReadOtherwise(req)) {
    next()
    return
  }
  parse(req, res, (error?: unknown) => {
    req.parsedCookies = req.cookies as Record<string, string>
    next(error)
  })
}
