import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isVisible, parseSnapshot } from '../../src/coherence/snapshot.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'

describe('a snapshot', () => {
  let database: TestDatabase

  beforeAll(async () => {
    database = await createTestDatabase('template_empty')
  })
  afterAll(() => database.drop())

  /**
   * Of a few transactions, of ids past 2^32, past what a double can tell apart, and near the last; no id's
   * lower half is 0 to 2.
   */
  const snapshotAndXid = fc
    .record({
      start: fc.oneof(
        fc.bigInt(3n, 20n),
        fc.bigInt(2n ** 32n + 10n, 2n ** 32n + 20n),
        fc.bigInt(2n ** 53n + 10n, 2n ** 53n + 20n),
        fc.bigInt(2n ** 63n - 100n, 2n ** 63n - 60n),
      ),
      length: fc.integer({ min: 0, max: 12 }),
      running: fc.uniqueArray(fc.integer({ min: 0, max: 11 })),
      offset: fc.integer({ min: -3, max: 15 }),
    })
    .map(({ start, length, running, offset }) => ({
      snapshot: `${start}:${start + BigInt(length)}:${running
        .filter((one) => one < length)
        .sort((a, b) => a - b)
        .map((one) => start + BigInt(one))
        .join()}`,
      xid: start + BigInt(offset),
    }))
    .filter(({ xid }) => xid > 0n)

  it('shows exactly the transactions that pg_visible_in_snapshot says', async () => {
    const cases = fc.sample(snapshotAndXid, { numRuns: 5000 })
    const rows = await database.sql<{ visible: boolean }>(
      `
      select pg_visible_in_snapshot(xid::xid8, snapshot::pg_snapshot) as visible
        from unnest($1::text[], $2::text[]) with ordinality as one (snapshot, xid, at) order by at`,
      [cases.map(({ snapshot }) => snapshot), cases.map(({ xid }) => `${xid}`)],
    )
    const ours = cases.map(({ snapshot, xid }) => ({
      snapshot,
      xid,
      visible: isVisible(xid, parseSnapshot(snapshot)),
    }))
    expect(ours).toEqual(cases.map((one, at) => ({ ...one, visible: rows[at]!.visible })))
    expect(new Set(ours.map(({ visible }) => visible)).size).toBe(2)
  })

  it('is read as Postgres writes it, with and without running transactions', async () => {
    const [current] = await database.sql<{ text: string; xmax: string }>(
      'select pg_current_snapshot()::text as text, pg_snapshot_xmax(pg_current_snapshot())::text as xmax',
    )
    expect(parseSnapshot(current!.text).xmax).toBe(BigInt(current!.xmax))
    expect(parseSnapshot('10:20:10,14,15')).toEqual({ xmax: 20n, running: new Set([10n, 14n, 15n]) })
    expect(parseSnapshot('10:10:')).toEqual({ xmax: 10n, running: new Set() })
  })

  it.each([
    '',
    '10',
    '10:20',
    '10:20:x',
    '10:20:,',
    '10:20:1,',
    ' 10:20:',
    '10:20: ',
    '-1:20:',
    '10:20:\n',
    '1e3:20:',
    'null',
  ])('cannot be read from %j', (text) => {
    expect(() => parseSnapshot(text)).toThrow('not a snapshot')
  })
})
