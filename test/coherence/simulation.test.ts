import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { loadMutant, mutants } from './simulation/mutants.js'
import { schedules } from './simulation/schedules.js'
import { simulate, Violation, type Counts } from './simulation/world.js'

/** Schedules of each kind; `SIMULATION_RUNS` makes a night's run of it, `SIMULATION_SEED` another one. */
const numRuns = Number(process.env.SIMULATION_RUNS ?? 60)
const seed = Number(process.env.SIMULATION_SEED ?? 20_261_123)
const longMs = 24 * 3600 * 1000
const mostForMutant = 500

describe('in virtual time', () => {
  const total: Partial<Counts> = {}

  it.each(Object.entries(schedules))('no schedule (%s) lets a request that starts after a write returned be answered without it, a lease live without a row, memory grow, or a writer wait for ever', async (_kind, arbitrary) => {
    await fc.assert(fc.asyncProperty(arbitrary, async (schedule) => {
      const counts = await simulate(schedule)
      for (const [name, count] of Object.entries(counts)) total[name as keyof Counts] = (total[name as keyof Counts] ?? 0) + count
    }), { numRuns, seed, endOnFailure: true })
    console.log(_kind, JSON.stringify(total))
  }, longMs)

  it('those schedules did what they are for', () => {
    const least = { hits: 1000, joins: 200, loads: 1000, unanswered: 10, writes: 1000, unknownWrites: 10, leasesLost: 100, lateCommits: 100, fenced: 50, swept: 5, pruned: 100, behind: 2, givenUpRenewals: 20, rechecks: 10 }
    expect(Object.fromEntries(Object.entries(least).filter(([name, count]) => total[name as keyof Counts]! < count))).toEqual({})
  })
})

describe('the simulation catches', () => {
  it.each(mutants)('$name', async (mutant) => {
    for (const [statement, clause] of mutant.sql?.kept ?? []) expect(statement).toContain(clause)
    const code = await loadMutant(mutant)
    for (const [index, schedule] of fc.sample(schedules[mutant.kind ?? 'any'], { numRuns: mostForMutant, seed }).entries()) {
      const violation = await simulate(schedule, code, mutant.sql?.broken).catch((error: unknown) => error)
      if (!(violation instanceof Error)) continue
      if (!(violation instanceof Violation)) throw violation
      console.log(mutant.name, index + 1, violation.message.split('\n')[0])
      await simulate(schedule) // the gateway's own code survives the same
      return
    }
    throw new Error(`not caught by ${mostForMutant} schedules`)
  }, longMs)
})
