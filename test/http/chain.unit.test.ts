import type { Request, Response } from 'express'
import { describe, expect, it } from '@jest/globals'
import { chain, type Middleware } from '../../src/http/endpoint/chain.js'

/** Runs one middleware and answers what it passed on: undefined is no error. */
const run = (step: Middleware) =>
  new Promise<unknown>((resolve) => {
    void step({} as Request, {} as Response, resolve)
  })

const pass: Middleware = (_req, _res, next) => next()
const throws =
  (reason: unknown): Middleware =>
  () => {
    throw reason
  }
const rejects =
  (reason: unknown): Middleware =>
  async () => {
    await Promise.resolve()
    throw reason
  }

const reasons: [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['0', 0],
  ['an empty string', ''],
  ['false', false],
  ['NaN', Number.NaN],
  ['a string', 'route'],
  ['an object', {}],
]

describe('a chain of steps', () => {
  it('runs them in order, those that answer later too, and passes on without an error', async () => {
    const order: number[] = []
    const later: Middleware = async (_req, _res, next) => {
      await Promise.resolve()
      order.push(2)
      next()
    }
    expect(
      await run(
        chain(
          (_req, _res, next) => {
            order.push(1)
            next()
          },
          later,
          chain(),
          (_req, _res, next) => {
            order.push(3)
            next()
          },
        ),
      ),
    ).toBeUndefined()
    expect(order).toEqual([1, 2, 3])
  })

  it('ends at the first error and passes it on as it is', async () => {
    let reached = false
    const after: Middleware = (_req, _res, next) => {
      reached = true
      next()
    }
    const error = new Error('refused')
    for (const refuse of [throws(error), rejects(error), ((_req, _res, next) => next(error)) as Middleware]) {
      expect(await run(chain(pass, refuse, after))).toBe(error)
      expect(await run(chain(chain(pass, refuse), after))).toBe(error)
    }
    expect(reached).toBe(false)
  })

  describe.each([
    ['throws', throws],
    ['rejects with', rejects],
  ] as const)('where a step %s', (_how, failing) => {
    it.each(reasons)('%s, the next step is not reached and an error comes out', async (_name, reason) => {
      let reached = false
      const after: Middleware = (_req, _res, next) => {
        reached = true
        next()
      }
      for (const steps of [
        chain(failing(reason), after),
        chain(pass, chain(pass, failing(reason)), after),
        chain(chain(chain(failing(reason)), after), after),
      ]) {
        expect(await run(steps)).toBeInstanceOf(Error)
      }
      expect(reached).toBe(false)
    })
  })
})
