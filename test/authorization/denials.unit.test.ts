import type { Request } from 'express'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { Principal } from '../../src/authentication/principal.js'
import { denialFrom, rememberDenials } from '../../src/authorization/denials.js'
import type { GuardAudit } from '../../src/authorization/guards.js'
import type { PrioritisedRule } from '../../src/context/request-context.js'
import { GatewayError, type ErrorCode } from '../../src/errors.js'
import { stateWith } from '../support/request-state.js'
import { until } from '../support/until.js'

type Recorded = Parameters<GuardAudit['recordRefusal']>[0]

const [user, mandate] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000101']
const level = fc.constantFrom('n' as const, 'm' as const, 'g' as const, 'a' as const)
const context = fc.constantFrom('DATA' as const, 'UI' as const, 'RESOURCE' as const)
const rule: fc.Arbitrary<PrioritisedRule> = fc.record({
  priority: fc.constantFrom(1 as const, 2 as const, 3 as const),
  rule: fc.record({
    roleId: fc.uuid(),
    roleMandateId: fc.option(fc.uuid()),
    roleInstanceId: fc.option(fc.uuid()),
    context,
    item: fc.option(fc.constantFrom('crm', 'crm.a')),
    view: fc.boolean(),
    read: level,
    create: level,
    update: level,
    delete: level,
  }),
})

/** A memory of refusals, and what it has written to the audit. */
function remembering() {
  const recorded: Recorded[] = []
  return {
    recorded,
    denials: rememberDenials({
      audit: {
        recordRefusal: (event) => {
          recorded.push(event)
        },
      },
    }),
  }
}
const requestOf = (shape: object = {}) =>
  ({
    method: 'GET',
    state: stateWith({ principal: { user: { id: user } } as Principal, routePattern: '/x', ...shape }),
  }) as unknown as Request
const refusal = (code: ErrorCode) => new GatewayError(code, `refused: ${code}`)

describe('a refusal', () => {
  it('is read from the audit as it was written, whatever rules decided', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { maxLength: 30 }),
        context,
        fc.constantFrom('read' as const, 'create' as const, 'update' as const, 'delete' as const, null),
        async (rules, of, action) => {
          const { recorded, denials } = remembering()
          denials.note(
            requestOf({
              deniedSubject: { context: of, item: 'crm', action },
              context: { mandateId: mandate, rules: () => rules },
            }),
            refusal('permission_denied'),
          )
          const [denial] = await until(() =>
            Promise.resolve(denials.find('r1').length > 0 ? denials.find('r1') : undefined),
          )
          const [event] = recorded
          const details = JSON.parse(JSON.stringify(event?.details)) as Record<string, unknown>
          const read = denialFrom('r1', {
            occurredAt: denial!.at,
            userId: user,
            mandateId: mandate,
            action: event!.action,
            details,
          })
          expect(read).toEqual({ ...denial, deciding: denial!.deciding.slice(0, 20) })
          expect(read!.deciding.length).toBe(Math.min(20, denial!.deciding.length))
          expect(read!.subject).toEqual({ context: of, item: 'crm', action })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('of more rules than an event holds is written with twenty of them', async () => {
    const rules = Array.from({ length: 25 }, (_, n): PrioritisedRule => ({
      priority: 1,
      rule: {
        roleId: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
        roleMandateId: null,
        roleInstanceId: null,
        context: 'DATA',
        item: null,
        view: false,
        read: 'n',
        create: 'n',
        update: 'n',
        delete: 'n',
      },
    }))
    const { recorded, denials } = remembering()
    denials.note(
      requestOf({
        deniedSubject: { context: 'DATA', item: 'crm', action: 'read' },
        context: { mandateId: mandate, rules: () => Promise.resolve(rules) },
      }),
      refusal('permission_denied'),
    )
    await until(() => Promise.resolve(recorded.length > 0 ? true : undefined))
    expect((recorded[0]!.details as { deciding: unknown[] }).deciding).toHaveLength(20)
    expect(denials.find('r1')[0]!.deciding).toHaveLength(25)
  })

  it('is remembered without its rules if they cannot be loaded', async () => {
    const { recorded, denials } = remembering()
    denials.note(
      requestOf({
        deniedSubject: { context: 'DATA', item: 'crm', action: 'read' },
        context: { mandateId: mandate, rules: () => Promise.reject(new Error('away')) },
      }),
      refusal('permission_denied'),
    )
    await until(() => Promise.resolve(recorded.length > 0 ? true : undefined))
    expect(denials.find('r1')).toMatchObject([
      { code: 'permission_denied', deciding: [], subject: { item: 'crm' } },
    ])
  })

  it('is remembered under a mandate only if the refused user has a row there', () => {
    const { recorded, denials } = remembering()
    const note = (id: string, code: ErrorCode, shape: object = {}) =>
      denials.note(
        requestOf({ id, requestedPlace: { mandateId: mandate, instanceId: undefined }, ...shape }),
        refusal(code),
      )
    note('a', 'membership_disabled')
    note('b', 'mandate_disabled')
    note('c', 'feature_access_disabled')
    note('d', 'not_a_member')
    note('e', 'no_instance_access')
    note('f', 'no_instance_access', { context: { mandateId: mandate, rules: () => [] } })
    note('g', 'membership_disabled', { requestedPlace: undefined })
    expect(recorded.map(({ requestId, mandateId, action }) => [requestId, mandateId, action])).toEqual(
      [
        ['a', mandate],
        ['b', mandate],
        ['c', mandate],
        ['d', 'system'],
        ['e', 'system'],
        ['f', mandate],
        ['g', 'system'],
      ].map((row) => [...row, 'access_denied']),
    )
  })

  it('by a guard is remembered, and not written twice', () => {
    const { recorded, denials } = remembering()
    denials.note(requestOf({ id: 'a', isRefusalAudited: true }), refusal('sysadmin_required'))
    denials.note(requestOf({ id: 'b', isRefusalAudited: true }), refusal('platform_admin_required'))
    denials.note(requestOf({ id: 'c' }), refusal('sysadmin_required'))
    // another step refused than the guard
    denials.note(requestOf({ id: 'd', isRefusalAudited: true }), refusal('not_a_member'))
    expect(recorded.map(({ requestId }) => requestId)).toEqual(['c', 'd'])
    for (const id of ['a', 'b', 'c', 'd'])
      expect(denials.find(id)).toMatchObject([{ requestId: id, subject: null, deciding: [] }])
  })

  it('by an endpoint’s own check, or by another step about the same item, has no rules', () => {
    const { recorded, denials } = remembering()
    const context = {
      mandateId: mandate,
      rules: () => [{ priority: 1, rule: { context: 'DATA', item: null } }],
    }
    denials.note(requestOf({ id: 'a', context }), refusal('permission_denied'))
    denials.note(
      requestOf({ id: 'b', context, deniedSubject: { context: 'DATA', item: 'crm', action: 'read' } }),
      refusal('not_a_member'),
    )
    expect(
      recorded.map(({ requestId, details }) => [
        requestId,
        (details as Record<string, unknown>).subject,
        (details as Record<string, unknown>).deciding,
      ]),
    ).toEqual([
      ['a', null, []],
      ['b', null, []],
    ])
    for (const id of ['a', 'b']) expect(denials.find(id)).toMatchObject([{ subject: null, deciding: [] }])
  })

  it('without a caller, or with another status than 403, is not recorded', () => {
    const { recorded, denials } = remembering()
    denials.note(requestOf({ principal: undefined }), refusal('not_a_member'))
    denials.note(requestOf(), refusal('token_invalid'))
    denials.note(requestOf(), refusal('not_found'))
    denials.note(requestOf(), refusal('directory_unavailable'))
    expect([recorded, denials.find('r1')]).toEqual([[], []])
  })

  it('of a request id is listed with at most four earlier ones, the newest first', () => {
    const { denials } = remembering()
    for (let n = 0; n < 7; n += 1) denials.note(requestOf({ routePattern: `/${n}` }), refusal('not_a_member'))
    expect(denials.find('r1').map(({ route }) => route)).toEqual(['/6', '/5', '/4', '/3', '/2'])
  })

  it('is forgotten when ten thousand others have come', () => {
    const { denials } = remembering()
    for (let n = 0; n <= 10_000; n += 1) denials.note(requestOf({ id: `r${n}` }), refusal('not_a_member'))
    expect([denials.find('r0').length, denials.find('r1').length, denials.find('r10000').length]).toEqual([
      0, 1, 1,
    ])
  })
})

describe('an event of the audit', () => {
  const event = (action: string, details: unknown) => ({
    occurredAt: new Date(),
    userId: user,
    mandateId: 'system',
    action,
    details: details as Record<string, unknown>,
  })

  it('of a guard names the guard’s own refusal', () => {
    expect(denialFrom('r', event('sysadmin_action_refused', { method: 'GET', route: null }))).toMatchObject({
      code: 'sysadmin_required',
      detail: 'SysAdmin privileges required',
      subject: null,
      deciding: [],
    })
    expect(
      denialFrom('r', event('platform_admin_action_refused', { method: 'GET', route: '/x' })),
    ).toMatchObject({
      code: 'platform_admin_required',
      detail: 'Platform admin privileges required',
      route: '/x',
    })
  })

  it('of another form is no refusal', () => {
    for (const details of [
      null,
      'text',
      {},
      { method: 'GET' },
      { method: 1, route: null },
      { method: 'GET', route: null, deciding: [{ priority: 4 }] },
      { method: 'GET', route: null, subject: { context: 'X', item: null, action: null } },
    ]) {
      expect(denialFrom('r', event('access_denied', details))).toBeUndefined()
    }
  })
})
