import fc from 'fast-check'
import type { Deed, Schedule } from './schedule.js'

type Arbitraries = { [Part in keyof Schedule]: fc.Arbitrary<Schedule[Part]> }

const keys = fc.array(fc.nat(5), { minLength: 1, maxLength: 2 })
const holdMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 300 }))
const write = fc.record({ what: fc.constant('write'), keys, holdMs })
const repeat = fc.record({ what: fc.constant('repeat'), keys, holdMs })
const writeWithoutWaiting = fc.record({ what: fc.constant('write without waiting'), keys, holdMs })
const halt = fc.record({ what: fc.constantFrom('stall', 'cut off'), ms: fc.integer({ min: 50, max: 900 }) })
const crash = fc.record({ what: fc.constant('crash') })
const suspension = fc.record({ what: fc.constant('suspend'), ms: fc.integer({ min: 150, max: 1500 }) })
const jump = fc.record({ what: fc.constant('jump'), ms: fc.integer({ min: -3_600_000, max: 3_600_000 }) })

const soon = fc.integer({ min: 0, max: 80 })

function deeds(
  weighted: readonly (readonly [weight: number, deed: fc.Arbitrary<object>])[],
  { afterMs = soon, maxLength = 25 } = {},
): fc.Arbitrary<Deed[]> {
  const deed = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })))
  return fc.array(
    fc
      .tuple(fc.record({ afterMs, process: fc.nat(3) }), deed)
      .map(([where, what]) => ({ ...where, ...what }) as Deed),
    { minLength: 1, maxLength, size: 'max' },
  )
}

const common = [
  [8, write],
  [1, repeat],
  [1, writeWithoutWaiting],
  [2, halt],
  [1, crash],
] as const

const anything: Arbitraries = {
  seed: fc.integer(),
  processes: fc.array(
    fc.record({
      leaseMs: fc.constantFrom(0, 120, 240, 240, 400, 400, 800),
      rate: fc.constantFrom(0.9901, 1, 1, 1.0099),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  keys: fc.integer({ min: 1, max: 4 }),
  maxEntries: fc.integer({ min: 1, max: 4 }),
  weather: fc.record({
    slow: fc.constantFrom(0, 0.05, 0.2, 0.4),
    longestMs: fc.constantFrom(20, 150, 500, 1000),
    lost: fc.constantFrom(0, 0, 0.02, 0.1),
  }),
  requestEveryMs: fc.constantFrom(4, 15, 40),
  sweepEveryMs: fc.constantFrom(50, 400),
  // A machine's suspension and a wall clock that is set back cannot be told apart when both happen at once.
  deeds: fc.oneof(deeds([...common, [1, suspension]]), deeds([...common, [1, jump]])),
}

const leases = (...leaseMs: number[]) => fc.constant(leaseMs.map((ms) => ({ leaseMs: ms, rate: 1 })))
const search = (special: Partial<Arbitraries>): fc.Arbitrary<Schedule> =>
  fc.record({ ...anything, ...special })
const good = { slow: 0, longestMs: 20, lost: 0 }

/**
 * Schedules of any kind, and of kinds in which one fault is likely to show. Searched by those who look for a
 * mutant; the gateway's code is to survive all.
 */
export const schedules = {
  any: search({}),
  /** Loads that outlast a lease, on nodes that lose theirs. */
  slowLoads: search({
    processes: leases(120, 120),
    keys: fc.constant(1),
    weather: fc.constant({
      ...good,
      only: { load: { slow: 0.5, longestMs: 550 }, renew: { slow: 0.2, longestMs: 200, lost: 0.15 } },
    }),
    deeds: deeds([
      [6, write],
      [2, halt],
    ]),
  }),
  /** Renewals that arrive, but late, and then none. */
  slowRenewals: search({
    processes: leases(400, 800),
    requestEveryMs: fc.constant(40),
    weather: fc.constant({ ...good, only: { renew: { slow: 0.7, longestMs: 150, lost: 0.25 } } }),
    deeds: deeds([
      [6, write],
      [3, fc.record({ what: fc.constant('cut off'), ms: fc.integer({ min: 400, max: 1200 }) })],
    ]),
  }),
  /** The same things revoked again and again, on nodes that are lost in between. */
  repetitions: search({
    processes: leases(240, 400),
    requestEveryMs: fc.constant(40),
    weather: fc.constant({ ...good, only: { renew: { slow: 0.2, longestMs: 300, lost: 0.2 } } }),
    deeds: deeds([
      [6, repeat],
      [1, write],
      [3, halt],
    ]),
  }),
  /**
   * A registration whose row appears late, while a change that its snapshot did not see is made and pruned;
   * then it is cut off.
   */
  lateRows: search({
    processes: leases(800, 800),
    requestEveryMs: fc.constant(40),
    sweepEveryMs: fc.constant(4),
    weather: fc.constant({
      ...good,
      only: {
        register: { slow: 0.7, longestMs: 120 },
        list: { slow: 0.7, longestMs: 200 },
        other: { slow: 0, longestMs: 0, lost: 0.6 },
      },
    }),
    deeds: fc
      .record({
        begin: fc.nat(20),
        holdMs: fc.integer({ min: 10, max: 100 }),
        cutAfterMs: fc.integer({ min: 20, max: 250 }),
        next: fc.nat(40),
      })
      .map(({ begin, holdMs, cutAfterMs, next }): Deed[] => [
        { what: 'write', process: 0, afterMs: begin, keys: [0], holdMs },
        { what: 'cut off', process: 1, afterMs: cutAfterMs, ms: 1500 },
        { what: 'write', process: 0, afterMs: next, keys: [1], holdMs: 0 },
      ]),
  }),
  /** Silences after which a node is taken off the list by any other. */
  silences: search({
    processes: leases(400, 800, 400),
    requestEveryMs: fc.constant(200),
    sweepEveryMs: fc.constant(400),
    deeds: deeds(
      [
        [1, write],
        [
          4,
          fc.record({
            what: fc.constantFrom('stall', 'cut off'),
            ms: fc.integer({ min: 9000, max: 13_000 }),
          }),
        ],
        [2, crash],
      ],
      { afterMs: fc.oneof(soon, fc.integer({ min: 3000, max: 11_000 })), maxLength: 6 },
    ),
  }),
  /** Machines that are suspended. */
  suspensions: search({
    processes: leases(800, 800),
    keys: fc.constant(1),
    requestEveryMs: fc.constant(4),
    deeds: deeds([
      [4, write],
      [3, suspension],
      [2, halt],
    ]),
  }),
  /**
   * Clocks that run apart as far as they may, under leases so long that it tells; a node is cut off just
   * before a change.
   */
  driftingClocks: search({
    processes: fc.constant([
      { leaseMs: 3000, rate: 0.9901 },
      { leaseMs: 3000, rate: 1.0099 },
    ]),
    requestEveryMs: fc.constant(40),
    weather: fc.constant(good),
    deeds: fc.array(fc.integer({ min: 3600, max: 4600 }), { minLength: 3, maxLength: 6 }).map((pauses) =>
      pauses.flatMap((afterMs): Deed[] => [
        { what: 'cut off', process: 0, afterMs, ms: 3300 },
        { what: 'write', process: 1, afterMs: 0, keys: [0], holdMs: 0 },
      ]),
    ),
  }),
} satisfies Record<string, fc.Arbitrary<Schedule>>

/**
 * A synchronous standby is promoted while the old primary lives on: connections stay with it, of the lease,
 * of commits or of the pool, and new ones may lead to it for a while. Then changes are made.
 */
export const splits = search({
  processes: fc.oneof(leases(120, 120), leases(0, 120), leases(400, 240), leases(0, 0)),
  keys: fc.constant(1),
  requestEveryMs: fc.constant(4),
  weather: fc.oneof(
    fc.constant(good),
    fc.constant({ ...good, only: { confirm: { slow: 0.5, longestMs: 550 } } }),
    fc.constant({
      ...good,
      only: { renew: { slow: 0.4, longestMs: 100, lost: 0.1 }, load: { slow: 0.2, longestMs: 300 } },
    }),
  ),
  deeds: fc
    .record({
      before: fc.nat(300),
      stay: fc.nat(255),
      ms: fc.oneof(fc.constant(0), fc.nat(300)),
      after: deeds(
        [
          [8, write],
          [1, writeWithoutWaiting],
          [1, halt],
        ],
        { maxLength: 8 },
      ),
    })
    .map(({ before, stay, ms, after }): Deed[] => [
      { what: 'write', process: 0, afterMs: 50, keys: [0], holdMs: 0 },
      { what: 'split', process: 0, afterMs: before, stay, ms },
      ...after,
    ]),
})

/**
 * A standby that lacks the last transactions takes over; then a change is made, before its node has heard of
 * that or after, while nodes renew slowly.
 */
export const failovers = search({
  processes: fc.constantFrom(
    [
      { leaseMs: 800, rate: 1 },
      { leaseMs: 800, rate: 1 },
    ],
    [
      { leaseMs: 0, rate: 1 },
      { leaseMs: 800, rate: 1 },
    ],
  ),
  keys: fc.constant(1),
  requestEveryMs: fc.constant(4),
  sweepEveryMs: fc.constant(100),
  weather: fc.constant({ ...good, only: { renew: { slow: 0.4, longestMs: 150 } } }),
  deeds: fc
    .record({
      lostMs: fc.integer({ min: 0, max: 300 }),
      writeAfterMs: fc.oneof(fc.nat(30), fc.integer({ min: 30, max: 300 })),
      restarts: fc.nat(1),
      lost: fc.nat(10),
      knowsNodes: fc.boolean(),
    })
    .map(({ lostMs, writeAfterMs, restarts, lost, knowsNodes }) => [
      { what: 'replicate', process: 0, afterMs: knowsNodes ? 500 : 0 },
      ...Array<Deed>(restarts).fill({ what: 'crash', process: 1, afterMs: 0 }),
      ...Array<Deed>(lost).fill({
        what: 'write without waiting',
        process: 0,
        afterMs: 0,
        keys: [0],
        holdMs: 0,
      }),
      { what: 'fail over', process: 0, afterMs: knowsNodes ? lostMs : 500 + lostMs },
      { what: 'write', process: 0, afterMs: writeAfterMs, keys: [0], holdMs: 0 },
    ]),
})
