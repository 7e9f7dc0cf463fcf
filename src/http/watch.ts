import type { Request, Response } from 'express'
import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** What would have been decided, on a route that only watches. */
      watched?: Watched
    }
  }
}

/** What a route that only watches would have decided. */
export interface Watched {
  /** `granted`, the code of the refusal, or `undecided` where it was not known in time. */
  decision: string
  user: string | undefined
  mandate: string | undefined
}

/** A caller does not wait longer for a decision that changes nothing for them. */
const patienceMs = 250

function watchedOf({ principal, context }: Request, decision: string): Watched {
  return { decision, user: principal?.user.id, mandate: context?.mandateId ?? undefined }
}

/**
 * Runs `decide` without effect: the request goes on whatever it decides, and carries nothing of it but
 * `req.watched`. It works on a view of the request, so that nobody behind it can take a watched caller for
 * one who was let in.
 */
export function watch(decide: Middleware): Middleware {
  return (req, res, next) => {
    const [view, answer] = [Object.create(req) as Request, Object.create(res) as Response]
    const waiting: { timer?: NodeJS.Timeout } = {}
    const settle = (decision: string) => {
      if (req.watched) return
      clearTimeout(waiting.timer)
      req.watched = watchedOf(view, decision)
      next()
    }
    void decide(view, answer, (refusal?: unknown) => {
      settle(
        refusal === undefined ? 'granted' : refusal instanceof GatewayError ? refusal.code : 'internal_error',
      )
    })
    if (!req.watched) waiting.timer = setTimeout(() => settle('undecided'), patienceMs)
  }
}
