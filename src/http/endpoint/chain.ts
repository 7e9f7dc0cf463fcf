import type { NextFunction, Request, RequestHandler, Response } from 'express'

/** A step of a request, with Express's middleware signature. A rejected promise counts as `next(error)`. */
export type Middleware = RequestHandler

/**
 * Runs `steps` in order as one middleware. A step that calls `next()` synchronously costs a function call,
 * where a layer of an Express router costs some microseconds. A step calls `next` once.
 */
export function chain(...steps: Middleware[]): Middleware {
  return (req, res, next) => {
    let index = 0
    const proceed: NextFunction = (error?: unknown) => {
      const step = error === undefined ? steps[index++] : undefined
      if (!step) {
        next(error)
        return
      }
      try {
        const pending: unknown = step(req, res, proceed)
        if (pending instanceof Promise) pending.catch((reason: unknown) => next(asError(reason)))
      } catch (thrown) {
        next(asError(thrown))
      }
    }
    proceed()
  }
}

/** Runs one step alone. Rejects with its refusal. */
export function runStep(step: Middleware, req: Request, res: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    void chain(step)(req, res, (error?: unknown) => {
      if (error === undefined) resolve()
      else reject(asError(error))
    })
  })
}

/** Returns the thrown value as an Error: `next(undefined)` would mean success. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new Error('something that is no error was thrown', { cause: thrown })
}
