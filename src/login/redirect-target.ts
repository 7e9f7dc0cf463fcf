import { reason } from '../domain/reasons.js'
import { faultAt, GatewayError } from '../errors.js'

const longest = 1000

interface Allowed {
  publicUrl: string
  /** Origins of single-page apps. */
  origins: string[]
}

const elsewhere = () =>
  new GatewayError('validation_failed', 'The query is not valid', {
    errors: [faultAt('next', reason('redirect_target'))],
  })

/**
 * Where a browser may be sent on to: a path of our own, or a URL of an allowed origin; by default `/`. What
 * browsers could read as another place than we do is refused. Throws `validation_failed`.
 */
export function redirectTarget(next: string | undefined, { publicUrl, origins }: Allowed): string {
  if (next === undefined || next === '') return '/'
  // eslint-disable-next-line no-control-regex -- browsers leave some of them out before they look at the rest
  if (next.length > longest || /[\\\u0000-\u0020\u007f]/.test(next) || !URL.canParse(next, publicUrl))
    throw elsewhere()
  const target = new URL(next, publicUrl)
  if (next.startsWith('/')) {
    const path = `${target.pathname}${target.search}${target.hash}`
    if (target.origin !== new URL(publicUrl).origin || path.startsWith('//')) throw elsewhere()
    return path
  }
  const isAllowed = target.origin === new URL(publicUrl).origin || origins.includes(target.origin)
  if (!/^https?:\/\//i.test(next) || target.username !== '' || target.password !== '' || !isAllowed)
    throw elsewhere()
  return target.href
}
