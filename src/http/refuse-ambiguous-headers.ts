import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'
import { cookieValues } from './cookies.js'

/**
 * Headers that decide who and where. Node keeps the first or joins them; another program might keep the last.
 */
const single = new Set(['authorization', 'host', 'x-mandate-id', 'x-instance-id'])

const mayHoldTwo = (cookies: string | undefined) =>
  cookies !== undefined && cookies.indexOf('auth_token') !== cookies.lastIndexOf('auth_token')

const twoTokens = () =>
  new GatewayError(
    'header_ambiguous',
    'Two different auth_token cookies were sent: another application of this domain has set one. ' +
      'Sign out here, then sign in again.',
  )

/**
 * Refuses a request that names its caller or its context twice (row 0 of the authentication table). Two
 * different `auth_token` cookies are refused only with `readsToken`, because other endpoints ignore them.
 */
export function refuseAmbiguousHeaders({ readsToken }: { readsToken: boolean }): Middleware {
  return (req, res, next) => {
    const lines = req.rawHeaders
    let seen = ''
    for (let index = 0; index < lines.length; index += 2) {
      const raw = lines[index] ?? ''
      // Only four names matter. Their lengths exclude most others without lower-casing them.
      if (raw.length !== 4 && raw.length !== 12 && raw.length !== 13) continue
      const name = raw.toLowerCase()
      if (!single.has(name)) continue
      if (seen.includes(`${name};`)) {
        res.shouldKeepAlive = false
        next(new GatewayError('header_ambiguous', `The header ${name} was sent more than once`))
        return
      }
      seen += `${name};`
    }
    const tokens =
      readsToken && mayHoldTwo(req.state.cookieHeader)
        ? cookieValues(req.state.cookieHeader, 'auth_token')
        : []
    if (tokens.some((token) => token !== tokens[0])) {
      next(twoTokens())
      return
    }
    next()
  }
}
