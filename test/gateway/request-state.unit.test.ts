import { expect, it } from '@jest/globals'
import { stateWith } from '../support/request-state.js'

type State = ReturnType<typeof stateWith>

it.each<[string, (state: State) => unknown, string]>([
  ['path', (state) => state.pathname, 'The path is read before the step settlePath has set it.'],
  ['query', (state) => state.search, 'The query is read before the step settlePath has set it.'],
  [
    'era of the decision',
    (state) => state.decidedIn,
    'The era of the decision is read before the step noteMoment has set it.',
  ],
  [
    'moment of the decision',
    (state) => state.decidedAtMs,
    'The moment of the decision is read before the step noteMoment has set it.',
  ],
  [
    'principal',
    (state) => state.requirePrincipal(),
    'The principal is read before the step authenticate has set it.',
  ],
  [
    'portal client',
    (state) => state.requirePortalClient(),
    'The portal client is read before the step authenticate has set it.',
  ],
  [
    'context',
    (state) => state.requireContext(),
    'The context is read before the step resolveContext has set it.',
  ],
])('reading the %s before its step has run names the step that is missing', (_field, read, message) => {
  expect(() => read(stateWith())).toThrow(message)
})

it('an empty query and the first moment count as set', () => {
  const state = stateWith({ decidedAtMs: 0 })
  state.settlePath('/', '')
  expect([state.pathname, state.search, state.decidedAtMs]).toEqual(['/', '', 0])
})

it('a request has all fields from the beginning, in one order, and so has its copy', () => {
  const fields = Object.keys(stateWith())
  const state = stateWith({ accessLevel: 'a', decidedIn: Symbol('era'), refusal: 'not_found' })
  state.settlePath('/', '?a=b')
  expect([Object.keys(state), Object.keys(state.copy())]).toEqual([fields, fields])
  expect(Object.entries(state.copy())).toEqual(Object.entries(state))
})

it('a change of a copy does not reach the state that it was made from', () => {
  const state = stateWith()
  const copy = state.copy()
  copy.settlePath('/other', '')
  copy.accessLevel = 'a'
  expect([state.settledPathname, state.accessLevel]).toEqual([undefined, undefined])
})
