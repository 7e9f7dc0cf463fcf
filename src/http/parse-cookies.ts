import cookieParser from 'cookie-parser'
import type { Request } from 'express'
import type { Middleware } from './endpoint/chain.js'

/** Nothing is decoded, because a token holds no `%`. */
const parse = cookieParser(undefined, { decode: (value) => value })

/**
 * Characters that cookie-parser reads differently from `cookieValues`: quotes, which it strips; `j:`, which
 * it parses as JSON; blanks beyond ASCII.
 */
const readOtherwise = /"|j:|[^\t\x20-\x7e]/

/** An embedding program may have parsed the cookies in its own way. */
const isReadOtherwise = (req: Pick<Request, 'headers' | 'state'>) =>
  Object.hasOwn(req, 'cookies') ||
  req.state.cookieHeader !== req.headers.cookie ||
  readOtherwise.test(req.headers.cookie ?? '')

/**
 * Reads the `Cookie` header with cookie-parser into `parsedCookies` of the request's state, for routes of
 * Express's router. It runs after the check for repeated cookies, because cookie-parser keeps the first of two.
 * When it would read a header differently from `cookieValues`, nothing is set.
 */
export const parseCookies: Middleware = (req, res, next) => {
  if (isReadOtherwise(req)) {
    next()
    return
  }
  parse(req, res, (error?: unknown) => {
    req.state.parsedCookies = req.cookies as Record<string, string>
    next(error)
  })
}
