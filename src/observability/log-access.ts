import type { Request, Response } from 'express'
import type { Middleware } from '../http/chain.js'
import type { Logger } from './logger.js'

/** Who and where a request turned out to be, for its access line. */
export type DescribeCaller = (req: Request) => { user?: string | undefined; mandate?: string | undefined }

function line(req: Request, res: Response, describeCaller: DescribeCaller) {
  const granted = res.statusCode < 400
  return {
    requestId: req.id,
    method: req.method,
    route: req.routePattern ?? null,
    status: res.statusCode,
    ms: Math.round((performance.now() - req.startedAt) * 100) / 100,
    ...describeCaller(req),
    granted,
    ...(granted ? {} : { reason: req.refusal ?? null }),
    ...(res.writableFinished ? {} : { aborted: true }),
  }
}

/** One line a request, when its answer is out or its client gone. It names the route's pattern, never the URL: queries hold secrets. */
export function logAccess(logger: Logger, describeCaller: DescribeCaller): Middleware {
  return (req, res, next) => {
    res.once('close', () => logger.info('request', line(req, res, describeCaller)))
    next()
  }
}
