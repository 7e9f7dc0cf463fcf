import type { Request, Response } from 'express'
import type { AccessLine, Tier } from '../observability/access-line.js'
import type { Middleware } from './endpoint/chain.js'

/** How to find the user, mandate and tier of a request, for its access line. */
interface DescribeCaller {
  userOf: (req: Request) => string | undefined
  mandateOf: (req: Request) => string | undefined
  tierOf: (req: Request) => Tier
}

/** Logs one access line a request, when its response has been sent or its client is gone. */
export function logAccess(
  take: (line: AccessLine, req: Request) => void,
  { userOf, mandateOf, tierOf }: DescribeCaller,
): Middleware {
  function onClose(this: Response) {
    const { req } = this
    // nginx's number for a client that went away before it was answered
    const status = this.headersSent ? this.statusCode : 499
    const granted = req.state.refusal === undefined
    take(
      {
        requestId: req.state.id,
        method: req.method,
        route: req.state.routePattern ?? null,
        status,
        ms: Math.round((performance.now() - req.state.startedAt) * 100) / 100,
        user: userOf(req),
        mandate: mandateOf(req),
        tier: tierOf(req),
        granted,
        reason: req.state.refusal,
        watched: req.state.watched?.decision,
        aborted: !this.writableFinished && status !== 101, // a WebSocket has no response that could be cut short
      },
      req,
    )
  }
  return (_req, res, next) => {
    res.on('close', onClose)
    next()
  }
}
