import type { Response } from 'express'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Response {
      /** Names and values, in turn, that go out with whatever is answered. */
      pendingHeaders: string[]
      /**
       * The `RateLimit-Policy` and `RateLimit` lists (structured fields), as far as limits have been looked
       * at.
       */
      rateLimitPolicy?: string
      rateLimit?: string
    }
  }
}

/**
 * Writes the response's head: the `pendingHeaders` of earlier steps, then `headers` (names and values, in
 * turn). One list for Node costs a fraction of setting each header. Headers that a library has set are kept.
 */
export function writeHead(res: Response, status: number, headers: string[]): void {
  const { pendingHeaders: pending, rateLimitPolicy, rateLimit } = res
  if (rateLimitPolicy !== undefined && rateLimit !== undefined)
    pending.push('RateLimit-Policy', rateLimitPolicy, 'RateLimit', rateLimit)
  const lines = pending.concat(headers)
  if (res.getHeaderNames().length === 0) {
    res.writeHead(status, lines)
    return
  }
  for (let index = 0; index + 1 < lines.length; index += 2)
    res.appendHeader(lines[index] ?? '', lines[index + 1] ?? '')
  res.writeHead(status)
}

/** Ends a response that has no body. */
export function endWithout(res: Response, status: number, headers: string[] = []): void {
  writeHead(res, status, headers)
  res.end()
}

/** Sets the pending headers on the response itself, for handlers of other programs. */
export function showPending(res: Response): void {
  const { pendingHeaders: pending, rateLimitPolicy, rateLimit } = res
  for (let index = 0; index + 1 < pending.length; index += 2)
    res.appendHeader(pending[index] ?? '', pending[index + 1] ?? '')
  res.pendingHeaders = []
  if (rateLimitPolicy !== undefined && rateLimit !== undefined)
    res.setHeader('RateLimit-Policy', rateLimitPolicy).setHeader('RateLimit', rateLimit)
}
