import type { Request, Response } from 'express'
import type { AccessLine, Tier } from '../observability/access-line.js'
import type { Middleware } from './endpoint/chain.js'

/** Who and where a request turned out to be, for its line. */
interface DescribeCaller {
  userOf: (req: Request) => string | undefined
  mandateOf: (req: Request) => string | undefined
  tierOf: (req: Request) => Tier
}

/** One line a request, for all who `take` them, when its answer is out or its client gone. */
export function logAccess(
  take: (line: AccessLine, req: Request) => void,
  { userOf, mandateOf, tierOf }: DescribeCaller,
): Middleware {
  function onClose(this: Response) {
    const { req } = this
    // nginx's number for a client that went away before it was answered
    const status = this.headersSent ? this.statusCode : 499
    const granted = req.refusal === undefined
    take(
      {
        requestId: req.id,
        method: req.method,
        route: req.routePattern ?? null,
        status,
        ms: Math.round((performance.now() - req.startedAt) * 100) / 100,
        user: userOf(req),
        mandate: mandateOf(req),
        tier: tierOf(req),
        granted,
        reason: req.refusal,
        watched: req.watched?.decision,
        aborted: !this.writableFinished && status !== 101, // a WebSocket ends as it ends
      },
      req,
    )
  }
  return (_req, res, next) => {
    res.on('close', onClose)
    next()
  }
}
