import type { Request, Response } from 'express'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { Level } from '../../src/domain/permissions.js'
import { explainAccess, whatWouldHelp } from '../../src/authorization/explain.js'
import { loadTokenKeys } from '../../src/authentication/token-keys.js'
import type { VerifiedClaims } from '../../src/authentication/verify-token.js'
import { actionOfMethod } from '../../src/authorization/guards.js'
import { decide, permissionFrom } from '../../src/authorization/permissions.js'
import type { Directory, Placement, ScopedRule, User } from '../../src/coherence/directory.js'
import type { PrioritisedRule } from '../../src/context/request-context.js'
import { createStreams } from '../../src/coherence/streams.js'
import { loadConfig } from '../../src/config.js'
import { admission } from '../../src/gateway/admission.js'
import { openCounts } from '../../src/http/limits/counts.js'
import { signAccessToken } from '../../src/login/issue-token.js'
import { createLog } from '../../src/observability/logger.js'
import { GatewayError } from '../../src/errors.js'
import { chain, runStep, type Middleware } from '../../src/http/endpoint/chain.js'
import type { Policy } from '../../src/http/endpoint/policy.js'
import { naivePermission } from '../support/naive-permission.js'
import { stateWith } from '../support/request-state.js'

const levels: Level[] = ['n', 'm', 'g', 'a']
const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const [here, there, instance] = [uuid(1), uuid(2), uuid(3)]
const roleIds = [11, 12, 13, 14, 15].map(uuid)
const scopes = [
  [null, null],
  [here, null],
  [here, instance],
  [there, null],
  [there, uuid(4)],
] as const

const rule = fc
  .record({
    role: fc.nat(4),
    context: fc.constantFrom('DATA' as const, 'RESOURCE' as const),
    item: fc.constantFrom(null, 'crm', 'crm.a', 'crm.a.b', 'c', 'crm.', 'crm..a'),
    view: fc.boolean(),
    read: fc.constantFrom(...levels),
    create: fc.constantFrom(...levels),
    update: fc.constantFrom(...levels),
    delete: fc.constantFrom(...levels),
  })
  .map(({ role, ...rest }): ScopedRule => ({
    roleId: roleIds[role]!,
    roleMandateId: scopes[role]![0],
    roleInstanceId: scopes[role]![1],
    ...rest,
  }))
const rules = fc.uniqueArray(rule, {
  maxLength: 14,
  selector: (one) => `${one.roleId} ${one.context} ${one.item}`,
})
const asked = fc.constantFrom(
  'crm',
  'crm.a',
  'crm.a.b',
  'crm.a.b.c',
  'crm.ab',
  'c',
  'd',
  'crm.',
  'crm..a',
  'crm..a.b',
  '.',
  'crm.a.b.c.d.e.f.g',
)

const cases = 10_000

describe('rules that are indexed once', () => {
  it('give the same result as the plain rules, for any item in any order', () => {
    fc.assert(
      fc.property(
        rules,
        fc.array(
          fc.tuple(fc.constantFrom('DATA' as const, 'RESOURCE' as const, 'UI' as const), fc.option(asked)),
          { minLength: 1, maxLength: 8 },
        ),
        (some, questions) => {
          const prioritised = some.map((one, index): PrioritisedRule => ({
            priority: ((index % 3) + 1) as 1 | 2 | 3,
            rule: one,
          }))
          for (const [context, item] of questions)
            expect(permissionFrom(prioritised, context, item)).toEqual(
              naivePermission(prioritised, context, item),
            )
        },
      ),
      { numRuns: cases },
    )
  }, 120_000)

  it('decide in microseconds for 5,000 rules of 200 roles, also about new items', () => {
    const many = Array.from({ length: 5000 }, (_, n): PrioritisedRule => ({
      priority: 2,
      rule: {
        roleId: uuid(n % 200),
        roleMandateId: here,
        roleInstanceId: null,
        context: 'RESOURCE',
        item: `area${Math.floor(n / 200)}.part${n % 7}`,
        view: true,
        read: levels[n % 4]!,
        create: 'n',
        update: 'n',
        delete: 'n',
      },
    }))
    decide(many, 'RESOURCE', 'area0')
    const start = performance.now()
    for (let n = 0; n < 20_000; n += 1)
      permissionFrom(many, 'RESOURCE', `area${n % 25}.part${n % 7}.thing${n}`)
    expect((performance.now() - start) / 20_000).toBeLessThan(0.1) // some 100 times what it takes
  })

  it('a very long item costs no more than the longest rule', () => {
    const few: PrioritisedRule[] = [
      {
        priority: 2,
        rule: {
          roleId: uuid(1),
          roleMandateId: here,
          roleInstanceId: null,
          context: 'DATA',
          item: 'a.a',
          view: true,
          read: 'a',
          create: 'n',
          update: 'n',
          delete: 'n',
        },
      },
    ]
    const start = performance.now()
    for (let n = 0; n < 1000; n += 1)
      expect(permissionFrom(few, 'DATA', 'a.'.repeat(8000) + String(n)).read).toBe('a')
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

/** What a directory says about one user, one requested context and their rules. */
interface DirectoryState {
  user: User & { enabled: boolean }
  placed: Placement
  rules: ScopedRule[]
}

const directoryOf = (state: () => DirectoryState): Pick<Directory, 'placement' | 'rules' | 'areaPolicy'> => ({
  areaPolicy: () => undefined,
  placement: () => state().placed,
  rules: (ids) => state().rules.filter(({ roleId }) => ids.includes(roleId)),
})

/** The gateway's own admission over a directory that says what a test wants, and a signed token for its user. */
async function admissionOf(state: () => DirectoryState) {
  const config = loadConfig({
    APP_JWT_KEY_SECRET: 'a-secret-of-this-test-0123456789-abcdef',
    SECRET_KEY: 'another-secret-of-this-test-0123456789',
    RATE_LIMIT_ADDRESS: 'off',
    RATE_LIMIT_USER: 'off',
  })
  const keys = await loadTokenKeys(config)
  const expiresAt = new Date(Date.now() + 3_600_000)
  const token = await signAccessToken(keys, {
    id: uuid(10),
    user: { id: uuid(9), username: 'x' },
    authority: 'local',
    sessionId: null,
    issuedAt: new Date(),
    expiresAt,
  })
  const login = async (presented: string, verify: (token: string) => Promise<VerifiedClaims>) => ({
    claims: await verify(presented),
    state: {
      user: state().user,
      token: {
        userId: uuid(9),
        authority: 'local',
        purpose: 'auth_session',
        status: 'active',
        sessionId: null,
        sessionEnded: false,
        expiresAtMs: expiresAt.getTime(),
        issuedAtMs: Date.now(),
      },
      session: undefined,
      keyRetired: false,
    },
    policy: undefined,
    dependsOn: [],
  })
  const { logger } = createLog(
    { LOG_LEVEL: 'error', LOG_FORMAT: 'json' },
    { write: () => undefined, flush: () => undefined },
  )
  const streams = createStreams({ holdsLease: () => true })
  streams.stop()
  const admit = admission({
    config,
    keys,
    logger,
    directory: { ...directoryOf(state), login },
    node: { streams },
    counts: openCounts({ redisUrl: undefined, logger }),
    audit: { record: () => undefined, recordRefusal: () => undefined, recordOnce: () => undefined },
    tokenUses: { note: () => undefined },
    publicUrl: () => 'http://127.0.0.1:8080',
    onFirstEntry: () => undefined,
  } as unknown as Parameters<typeof admission>[0])
  return { admit, token }
}

const codeOf = (refusal: unknown) => {
  if (refusal === undefined) return undefined
  if (!(refusal instanceof GatewayError)) throw new Error('it was refused by no refusal', { cause: refusal })
  return refusal.code
}

/** What a decision has left on its request. */
const decisionIn = ({ state: { principal, context, accessLevel } }: Request) => ({
  user: principal?.user.id,
  mandateId: context?.mandateId,
  instanceId: context?.featureInstanceId,
  roleIds: context?.roleIds,
  accessLevel,
})

describe('an explanation', () => {
  it('agrees with admission, and with deciding again, on generated directories', async () => {
    const placement = fc.record({
      mandate: fc.constantFrom('enabled', 'disabled', 'missing'),
      membership: fc.constantFrom('enabled', 'disabled', 'missing'),
      instance: fc.constantFrom('enabled', 'disabled', 'foreign', 'missing'),
      access: fc.constantFrom('enabled', 'disabled', 'missing'),
    })
    const user = fc.record({
      enabled: fc.constantFrom(true, true, true, false),
      isSysAdmin: fc.constantFrom(true, false, false, false),
      isPlatformAdmin: fc.constantFrom(true, false, false, false),
    })
    const policy = fc.record({
      mandate: fc.constantFrom('required' as const, 'optional' as const, 'none' as const),
      instance: fc.constantFrom(
        'required' as const,
        'optional' as const,
        'optional' as const,
        'none' as const,
      ),
      guard: fc.constantFrom(undefined, undefined, undefined, 'sysAdmin' as const, 'platformAdmin' as const),
      item: fc.option(asked),
      context: fc.constantFrom('DATA' as const, 'RESOURCE' as const),
    })
    const shape = fc.record({
      placement,
      user,
      policy,
      rules,
      assigned: fc.subarray(roleIds),
      method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PURGE'),
      namesMandate: fc.boolean(),
      namesInstance: fc.boolean(),
    })
    const outcomes = { allowed: 0, refused: 0 }
    let state: DirectoryState | undefined
    const { admit, token } = await admissionOf(() => state!)
    await fc.assert(
      fc.asyncProperty(shape, async (one) => {
        const who: User & { enabled: boolean } = {
          id: uuid(9),
          username: 'x',
          email: null,
          fullName: null,
          ...one.user,
        }
        const grant = (state: string, ids: string[]) =>
          state === 'missing' ? undefined : { id: uuid(8), enabled: state === 'enabled', roleIds: ids }
        const member = grant(one.placement.membership, one.assigned.slice(0, 3))
        const placed: Placement = {
          mandate:
            one.placement.mandate === 'missing'
              ? undefined
              : { id: here, enabled: one.placement.mandate === 'enabled' },
          membership: member && { ...member, profileShown: true },
          instance:
            one.placement.instance === 'missing' || !one.namesInstance
              ? undefined
              : {
                  id: instance,
                  mandateId: one.placement.instance === 'foreign' ? there : here,
                  enabled: one.placement.instance === 'enabled',
                },
          access: one.namesInstance ? grant(one.placement.access, one.assigned.slice(3)) : undefined,
          policy: undefined,
          dependsOn: [],
        }
        const directory = directoryOf(() => state!)
        const { guard, item, context, ...places } = one.policy
        const asks: Policy = {
          auth: 'required',
          ...places,
          ...(guard ? { guard } : {}),
          ...(item === null ? {} : { permission: { context, item } }),
        }

        state = { user: who, placed, rules: one.rules }
        const arrive = (decidedIn?: symbol) =>
          ({
            method: one.method,
            state: stateWith(decidedIn && { decidedIn, decidedAtMs: Date.now() }),
            headers: {
              authorization: `Bearer ${token}`,
              ...(one.namesMandate ? { 'x-mandate-id': here } : {}),
              ...(one.namesInstance ? { 'x-instance-id': instance } : {}),
            },
            rawHeaders: ['Authorization', ''],
          }) as unknown as Request
        const { steps, again } = admit(asks, 'ambient')
        const refusalBy = async (step: Middleware, request: Request) =>
          await runStep(step, request, {} as Response).catch((error: unknown) => error)
        const req = arrive()
        const enforced = await refusalBy(chain(...steps), req)

        // The same request once more, after something changed that this node has heard of.
        const later = arrive(Symbol('an era before'))
        const decidedAgain = await refusalBy(again!, later)
        expect(codeOf(decidedAgain)).toBe(codeOf(enforced))
        if (enforced === undefined) expect(decisionIn(later)).toEqual(decisionIn(req))

        const explained = await explainAccess(
          {
            user: who,
            place: {
              mandateId: one.namesMandate ? here : undefined,
              instanceId: one.namesInstance ? instance : undefined,
            },
            policy: asks,
            method: one.method,
            subject: asks.permission && {
              context,
              item: asks.permission.item,
              action: actionOfMethod[one.method],
            },
          },
          directory,
        )
        const refusal =
          enforced instanceof GatewayError ? { code: enforced.code, detail: enforced.detail } : null
        if (enforced !== undefined && refusal === null)
          throw new Error('it was refused by no refusal', { cause: enforced })
        outcomes[refusal ? 'refused' : 'allowed'] += 1
        expect({
          allowed: explained.allowed,
          refusal: explained.refusal && { code: explained.refusal.code, detail: explained.refusal.detail },
        }).toEqual({ allowed: refusal === null, refusal })
        if (explained.allowed && asks.permission) expect(explained.level).toBe(req.state.accessLevel)
      }),
      { numRuns: cases },
    )
    expect(outcomes.allowed).toBeGreaterThan(cases / 40)
    expect(outcomes.refused).toBeGreaterThan(cases / 40)
  }, 120_000)

  const ruled = (
    priority: 1 | 2 | 3,
    role: number,
    item: string | null,
    read: Level,
    context: ScopedRule['context'] = 'DATA',
  ): ScopedRule => ({
    roleId: roleIds[role]!,
    roleMandateId: priority === 1 ? null : here,
    roleInstanceId: priority === 3 ? instance : null,
    context,
    item,
    view: true,
    read,
    create: 'n',
    update: 'n',
    delete: 'n',
  })

  /** Asks about a member of the mandate and of the instance, whose roles have these rules. */
  async function about(
    rulesOfRoles: ScopedRule[],
    {
      user = {},
      policy = {},
      item = 'crm.a',
      action = 'read' as const,
      noSubject = false,
    }: {
      user?: object
      policy?: Partial<Policy>
      item?: string | null
      action?: 'read' | 'create' | undefined
      noSubject?: boolean
    } = {},
  ) {
    const placement: Placement = {
      mandate: { id: here, enabled: true },
      membership: { id: uuid(8), enabled: true, roleIds, profileShown: true },
      instance: { id: instance, mandateId: here, enabled: true },
      access: { id: uuid(7), enabled: true, roleIds: [] },
      policy: undefined,
      dependsOn: [],
    }
    return await explainAccess(
      {
        user: {
          id: uuid(9),
          username: 'x',
          email: null,
          fullName: null,
          isSysAdmin: false,
          isPlatformAdmin: false,
          enabled: true,
          ...user,
        },
        place: { mandateId: here, instanceId: instance },
        policy: { auth: 'required', mandate: 'optional', instance: 'optional', ...policy },
        subject: noSubject ? undefined : { context: 'DATA', item, action },
        method: 'GET',
      },
      { areaPolicy: () => undefined, placement: () => placement, rules: () => rulesOfRoles },
    )
  }

  it('names the step that decided', async () => {
    const decidedBy = async (...asked: Parameters<typeof about>) =>
      (({ allowed, decidedBy: step, level }) => [allowed, step, level])(await about(...asked))
    expect(await decidedBy([], { policy: { auth: 'public' } })).toEqual([true, 'public', null])
    expect(await decidedBy([], { user: { enabled: false } })).toEqual([false, 'account', null])
    expect(await decidedBy([], { noSubject: true })).toEqual([true, 'nothing_asked', null])
    expect(await decidedBy([], { noSubject: true, policy: { guard: 'sysAdmin' } })).toEqual([
      false,
      'guard',
      null,
    ])
    expect(
      await decidedBy([], {
        noSubject: true,
        policy: { guard: 'platformAdmin' },
        user: { isPlatformAdmin: true },
      }),
    ).toEqual([true, 'guard', null])
    expect(await decidedBy([], { user: { isSysAdmin: true } })).toEqual([true, 'sysadmin', 'a'])
    expect(await decidedBy([ruled(1, 0, null, 'm')])).toEqual([true, 'rules', 'm'])
    expect(await decidedBy([])).toEqual([false, 'rules', 'n'])
    expect(
      await decidedBy([ruled(1, 0, null, 'm')], { policy: { mandate: 'none', instance: 'none' } }),
    ).toEqual([false, 'rules', 'n'])
  })

  it('fails if the directory is away or the gateway has a fault', async () => {
    for (const error of [
      new GatewayError('directory_unavailable', 'away'),
      new GatewayError('internal_error', 'wrong'),
      new TypeError('a fault of ours'),
    ]) {
      const away = {
        placement: () => {
          throw error
        },
        areaPolicy: () => undefined,
        rules: () => [],
      }
      await expect(
        explainAccess(
          {
            user: {
              id: uuid(9),
              username: 'x',
              email: null,
              fullName: null,
              isSysAdmin: false,
              isPlatformAdmin: false,
              enabled: true,
            },
            place: { mandateId: here, instanceId: undefined },
            policy: { auth: 'required', mandate: 'required', instance: 'none' },
          },
          away,
        ),
      ).rejects.toBe(error)
    }
  })

  it('lists the rules about the item that did not count, and no rule about another item', async () => {
    const overruling = ruled(3, 0, 'crm.a', 'm')
    const overruled = [
      ruled(1, 1, null, 'a'),
      ruled(2, 2, 'crm', 'a'),
      ruled(2, 2, 'crm.a', 'g'),
      ruled(3, 0, 'crm', 'n'),
    ]
    const others = [
      ruled(2, 2, 'crm.ab', 'a'),
      ruled(2, 2, 'crm.a.b', 'a'),
      ruled(2, 2, 'a', 'a'),
      ruled(2, 2, 'crm.a', 'a', 'UI'),
    ]
    const of = await about([...others, ...overruled, overruling])
    expect(of.deciding.map(({ rule: one }) => one)).toEqual([overruling])
    expect(of.overruled.map(({ rule: one }) => one)).toEqual(expect.arrayContaining(overruled))
    expect(of.overruled).toHaveLength(overruled.length)
    const all = await about([...others, ...overruled, overruling], { item: null })
    expect([all.deciding.map(({ rule: one }) => one), all.overruled]).toEqual([[overruled[0]], []])
  })

  it('lists the rule that gave the level first', async () => {
    const [low, high] = [ruled(2, 1, 'crm', 'm'), ruled(2, 2, 'crm.a', 'g')]
    expect((await about([low, high])).deciding.map(({ rule: one }) => one)).toEqual([high, low])
    expect((await about([high, low])).deciding.map(({ rule: one }) => one)).toEqual([high, low])
  })

  it('says what would help: change the rule that decided, or add a role of a higher priority', async () => {
    const help = async (
      some: ScopedRule[],
      action: 'read' | undefined = 'read',
      item: string | null = 'crm.a',
    ) => whatWouldHelp(await about(some, { action, item }), { context: 'DATA', item, action })
    expect(await help([])).toEqual([
      expect.stringMatching(/^Give one of the user's roles a rule for DATA crm\.a with read m, g or a/),
    ])
    expect(await help([], 'read', null)).toEqual([expect.stringContaining('DATA (all items)')])
    for (const [priority, higher] of [
      [1, 'of the mandate or the instance'],
      [2, 'of the instance'],
    ] as const) {
      expect(await help([ruled(priority, 0, 'crm', 'n')])).toEqual([
        `Set read to m, g or a in a rule that decided: role ${roleIds[0]}, DATA crm, priority ${priority}.`,
        `Or give the user a role of a higher priority (${higher}) with a rule for DATA crm.a.`,
      ])
    }
    expect(await help([ruled(3, 0, null, 'n')])).toEqual([
      `Set read to m, g or a in a rule that decided: role ${roleIds[0]}, DATA (all items), priority 3.`,
    ])
    expect(await help([ruled(1, 0, null, 'a')])).toEqual([])
    expect(
      whatWouldHelp(
        { refusal: { code: 'permission_denied' }, deciding: [] },
        { context: 'DATA', item: null, action: undefined },
      ),
    ).toEqual([expect.stringMatching(/^Use another method/)])
    expect(whatWouldHelp({ refusal: { code: 'permission_denied' }, deciding: [] }, undefined)).toEqual([])
    expect(
      whatWouldHelp(
        { refusal: { code: 'header_ambiguous' }, deciding: [] },
        { context: 'DATA', item: null, action: 'read' },
      ),
    ).toEqual([])
  })
})
