import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { loadMutant, mutants } from './simulation/mutants.js'
import type { Counts, Schedule } from './simulation/schedule.js'
import { failovers, schedules, splits } from './simulation/schedules.js'
import { simulate, Violation } from './simulation/world.js'

/**
 * How many schedules of each kind; `npm run test:exhaustive` has six times as many, and `SIMULATION_RUNS`
 * makes a night's search of it, with another `SIMULATION_SEED`.
 */
const numRuns = Number(process.env.SIMULATION_RUNS ?? 10)
const seed = Number(process.env.SIMULATION_SEED ?? 20_261_123)
/** A mutant that so many do not find is not found. */
const mostForMutant = 500
const longMs = 24 * 3600 * 1000

/**
 * In each schedule: a request that starts after a write has returned is never answered without it, no lease
 * is live whose row a writer would not see, memory keeps its bound, writers return and nodes get their leases
 * again.
 */
describe('the promise holds in virtual time', () => {
  const total: Partial<Counts> = {}
  const survive = (arbitrary: fc.Arbitrary<Schedule>) =>
    fc.assert(
      fc.asyncProperty(arbitrary, async (schedule) => {
        for (const [name, count] of Object.entries(await simulate(schedule)) as [keyof Counts, number][])
          total[name] = (total[name] ?? 0) + count
      }),
      { numRuns, seed, endOnFailure: true },
    )

  it.each(Object.entries(schedules))(
    'in schedules of the kind %s',
    async (_kind, arbitrary) => {
      await survive(arbitrary)
    },
    longMs,
  )

  it('and all that may happen has happened in them', () => {
    const leastOf60: Partial<Counts> = {
      hits: 20_000,
      joins: 500,
      loads: 20_000,
      unanswered: 1000,
      writes: 1000,
      unknownWrites: 100,
      leasesLost: 300,
      unacknowledged: 1000,
      lateCommits: 500,
      acknowledged: 5000,
      fenced: 200,
      swept: 20,
      pruned: 1000,
      behind: 2,
      givenUpRenewals: 200,
      rechecks: 100,
    }
    expect(total).toEqual(Object.fromEntries(Object.keys(total).map((name) => [name, expect.any(Number)])))
    expect(
      Object.entries(leastOf60).filter(
        ([name, count]) => !(total[name as keyof Counts]! >= Math.floor((count * numRuns) / 60)),
      ),
    ).toEqual([])
  })

  // A writer's process learns of a standby that took over only from its own next renewal. Until then it
  // believes acknowledgements that speak of the lost history, and does not know of nodes whose rows were
  // lost.
  it(
    'also after a standby took over that lacks transactions',
    async () => {
      await fc.assert(
        fc.asyncProperty(failovers, async (schedule) => {
          await simulate(schedule)
        }),
        { numRuns: 8 * numRuns, seed, endOnFailure: true },
      )
    },
    longMs,
  )
})

describe('the promise holds while there are two primaries', () => {
  it(
    'in schedules in which connections stay with the old one',
    async () => {
      let split = 0
      await fc.assert(
        fc.asyncProperty(splits, async (schedule) => {
          split += (await simulate(schedule)).split
        }),
        { numRuns: 5 * numRuns, seed, endOnFailure: true },
      )
      expect(split).toBeGreaterThan(50 * numRuns)
    },
    longMs,
  )
})

const inOneLine = (sql: string) => sql.replaceAll(/\s+/g, ' ')

describe('the simulation catches', () => {
  it.each(mutants)(
    '$name',
    async (mutant) => {
      for (const [statement, clause] of mutant.sql?.kept ?? [])
        expect(inOneLine(statement)).toContain(inOneLine(clause))
      const code = await loadMutant(mutant)
      for (const schedule of fc.sample({ ...schedules, failovers, splits }[mutant.kind ?? 'any'], {
        numRuns: mostForMutant,
        seed,
      })) {
        const violation = await simulate(schedule, code, mutant.sql?.broken).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (violation === undefined) continue
        expect(violation).toBeInstanceOf(Violation)
        await simulate(schedule) // the gateway's own code survives the same
        return
      }
      throw new Error(`${mostForMutant} schedules do not tell this mutant from the gateway's own code`)
    },
    longMs,
  )

  it('nothing in code that was compiled like a mutant but not changed', async () => {
    const code = await loadMutant({ name: 'none', patches: [['lease', 'let seq = 0\n', 'let seq = 0\n']] })
    for (const schedule of fc.sample(schedules.any, { numRuns: 20, seed })) await simulate(schedule, code)
  })

  it('a mutant whose text is not in the source any more', async () => {
    await expect(
      loadMutant({ name: 'outdated', patches: [['lease', 'this text is not there', '']] }),
    ).rejects.toThrow('the mutant cannot be made')
  })
})
