import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { ScopedRule } from '../../src/coherence/directory.js'
import { countingRules } from '../../src/context/counting-rules.js'

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const [here, there, mine, other] = [uuid(1), uuid(2), uuid(3), uuid(4)]

const ruleOf = (roleMandateId: string | null, roleInstanceId: string | null): ScopedRule => ({
  roleId: uuid(9),
  roleMandateId,
  roleInstanceId,
  context: 'DATA',
  item: null,
  view: true,
  read: 'a',
  create: 'a',
  update: 'a',
  delete: 'a',
})
const rule = fc
  .tuple(fc.constantFrom(null, here, there), fc.constantFrom(null, mine, other))
  .map(([mandate, instance]) => ruleOf(mandate, instance))

/** The priority of a role's rules by its own scope; 0 where they do not count. */
function priorityOf(
  { roleMandateId, roleInstanceId }: ScopedRule,
  mandate: string,
  instance: string | null,
): number {
  const table: [string | null, string | null, number][] = [
    [null, null, 1],
    [mandate, null, 2],
    [mandate, instance ?? 'none', 3],
  ]
  return table.find(([m, i]) => m === roleMandateId && i === roleInstanceId)?.[2] ?? 0
}

describe('the rules that count in a place', () => {
  it('are of global roles, the mandate’s and the instance’s roles, in this order, and no others', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 12 }),
        fc.constantFrom(here, there),
        fc.constantFrom(null, mine),
        (rules, mandate, instance) => {
          const expected = [1, 2, 3].flatMap((priority) =>
            rules
              .filter((one) => priorityOf(one, mandate, instance) === priority)
              .map((one) => ({ priority, rule: one })),
          )
          expect(countingRules(rules, mandate, instance)).toEqual(expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('are computed once for each place', () => {
    const rules = [ruleOf(here, mine), ruleOf(null, null), ruleOf(there, null)]
    expect(countingRules(rules, here, mine)).toBe(countingRules(rules, here, mine))
    expect(countingRules(rules, here, null)).not.toBe(countingRules(rules, here, mine))
    expect(countingRules(rules, there, null)).toHaveLength(2)
    expect(countingRules([...rules], here, mine)).not.toBe(countingRules(rules, here, mine))
  })
})
