import type { NextFunction, Request, RequestHandler, Response } from 'express'

/** A step of a request's life: Express's middleware signature; a promise that rejects counts as `next(error)`. */
export type Middleware = RequestHandler

/**
 * Runs `steps` in order as one middleware. A step that calls `next()` synchronously costs a function call,
 * where a layer of an Express router costs some microseconds.
 */
export function chain(...steps: Middleware[]): Middleware {
  return (req, res, next) => runFrom(steps, 0, req, res, next)
}

function runFrom(steps: Middleware[], index: number, req: Request, res: Response, next: NextFunction): void {
  const step = steps[index]
  if (!step) {
    next()
    return
  }
  const proceed: NextFunction = (error?: unknown) => {
    if (error) next(error)
    else runFrom(steps, index + 1, req, res, next)
  }
  try {
    const pending: unknown = step(req, res, proceed)
    if (pending instanceof Promise) pending.catch((error: unknown) => next(asError(error)))
  } catch (error) {
    next(asError(error))
  }
}

/** `next(undefined)` would mean that all is well: whatever was thrown must not be taken for that. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('something that is no error was thrown', { cause: thrown })
}
