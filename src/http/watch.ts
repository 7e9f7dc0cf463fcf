import type { Request, Response } from 'express'
import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'

/** The decision on a route that only watches. */
export interface Watched {
  /** `granted`, the code of the refusal, or `undecided` when it was not known in time. */
  decision: string
  user: string | undefined
  mandate: string | undefined
}

/** A caller waits no longer for a decision that changes nothing for them. */
const patienceMs = 250

function watchedOf({ state: { principal, context } }: Request, decision: string): Watched {
  return { decision, user: principal?.user.id, mandate: context?.mandateId ?? undefined }
}

/**
 * Runs `decide` without effect: the request goes on in any case, and carries only `watched` in its state. It
 * works on a view of the request with a state of its own, so that no later step takes a watched caller for an
 * admitted one.
 */
export function watch(decide: Middleware): Middleware {
  return (req, res, next) => {
    const [view, answer] = [Object.create(req) as Request, Object.create(res) as Response]
    view.state = req.state.copy()
    const waiting: { timer?: NodeJS.Timeout } = {}
    const settle = (decision: string) => {
      if (req.state.watched) return
      clearTimeout(waiting.timer)
      req.state.watched = watchedOf(view, decision)
      next()
    }
    void decide(view, answer, (refusal?: unknown) => {
      settle(
        refusal === undefined ? 'granted' : refusal instanceof GatewayError ? refusal.code : 'internal_error',
      )
    })
    if (!req.state.watched) waiting.timer = setTimeout(() => settle('undecided'), patienceMs)
  }
}
