import type { Request, Response } from 'express'
import { expect, it } from '@jest/globals'
import type { Principal } from '../../src/authentication/principal.js'
import type { RequestContext } from '../../src/context/request-context.js'
import { GatewayError } from '../../src/errors.js'
import { runStep, type Middleware } from '../../src/http/endpoint/chain.js'
import { watch } from '../../src/http/watch.js'
import { stateWith } from '../support/request-state.js'

const principal = { user: { id: 'alice' } } as Principal
const context = { mandateId: 'acme' } as RequestContext

/** Decides as the steps of a route do, and leaves on the request what they leave. */
const deciding =
  (refusal?: GatewayError): Middleware =>
  (req, _res, next) => {
    Object.assign(req.state, { principal, context, accessLevel: 'a', decidedAtMs: 1, isRefusalAudited: true })
    next(refusal)
  }

async function watched(decide: Middleware) {
  const state = stateWith({ routePattern: '/crm' })
  state.settlePath('/crm/contacts', '')
  const before = Object.entries(state)
  const req = { state } as Request
  await runStep(watch(decide), req, {} as Response)
  return { req, state, before }
}

it.each([
  ['granted', undefined],
  ['not_a_member', new GatewayError('not_a_member', 'Not a member')],
])('a watched caller is never taken for an admitted one (%s)', async (decision, refusal) => {
  const { req, state, before } = await watched(deciding(refusal))

  expect(req.state).toBe(state)
  const { watched: noted } = state
  expect(noted).toEqual({ decision, user: 'alice', mandate: 'acme' })
  state.watched = undefined
  expect(Object.entries(state)).toEqual(before)
  expect(() => state.requirePrincipal()).toThrow('before the step authenticate has set it')
})

it('the decision of a watched caller sees what the steps before it have left', async () => {
  let seen: unknown
  await watched((req, _res, next) => {
    seen = [req.state.pathname, req.state.routePattern, req.state.clientAddress]
    next()
  })
  expect(seen).toEqual(['/crm/contacts', '/crm', '192.0.2.1'])
})
