import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createLogger, transports } from 'winston'
import { startAuditLog, type AuditLog } from '../../src/audit/audit-log.js'
import type { AuditEvent } from '../../src/audit/event.js'
import { foldRefusals } from '../../src/audit/fold-refusals.js'
import { openSpill } from '../../src/audit/spill.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { users } from '../support/demo.js'
import { until } from '../support/until.js'

const logger = createLogger({ transports: [new transports.Console({ silent: true })] })
const event = (action: string, details: object = {}): AuditEvent => ({
  userId: users.alice,
  mandateId: 'system',
  action,
  details,
  requestId: null,
})

let own: TestDatabase
let database: Database
let directory: string
const logs: AuditLog[] = []
beforeAll(async () => {
  own = await createTestDatabase()
  database = connectDatabase({ url: own.url, setRole: false })
})
afterAll(async () => {
  await database.close()
  await own.drop()
})
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-spill-'))
})
afterEach(async () => {
  for (const log of logs.splice(0)) await log.close()
  await own.sql('truncate audit_events, audit_personal')
  await rm(directory, { recursive: true, force: true })
})

/** The database is there, but the table is not: as any failure that may pass. */
const takeAway = () => own.sql('alter table audit_events rename to audit_events_away')
const putBack = () => own.sql('alter table audit_events_away rename to audit_events')
const start = (sql: Pick<Database, 'rows' | 'run'> = database, spillDirectory = directory) => {
  const log = startAuditLog({ sql, logger, spillDirectory })
  logs.push(log)
  return log
}
const actions = async () =>
  (await own.sql<{ action: string }>('select action from audit_events order by action')).map(
    ({ action }) => action,
  )
const onDisk = async () => {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.jsonl'))
  return (
    await Promise.all(
      names.map((name) =>
        readFile(path.join(directory, name), 'utf8').catch(() => ''),
      ) /* written meanwhile */,
    )
  )
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as AuditEvent).action)
    .sort()
}

describe('while the database does not take events', () => {
  it('they are kept on disk, and written once when it does', async () => {
    const log = start()
    await takeAway()
    for (const action of ['a', 'b', 'c']) log.record(event(action))
    await until(async () => ((await onDisk()).length === 3 ? true : undefined))
    await putBack()
    await until(async () => ((await actions()).length === 3 ? true : undefined))
    await until(async () => ((await onDisk()).length === 0 ? true : undefined))
    expect(await actions()).toEqual(['a', 'b', 'c'])
  })

  it('a disk that does not take them is not filled by trying: nothing half written is left', () => {
    // A process whose files may hold a few hundred bytes, as on a disk that is full.
    const script = `
      process.on('SIGXFSZ', () => undefined)
      const { openSpill } = await import(process.env.SPILL)
      const spill = openSpill(process.env.DIRECTORY, { error: () => undefined })
      const event = {
        id: crypto.randomUUID(),
        occurredAt: new Date(),
        userId: null,
        mandateId: 'system',
        action: 'x'.repeat(5000),
        details: {},
        requestId: null,
      }
      for (let attempt = 0; attempt < 3; attempt += 1)
        await spill.save([event]).catch((error) => process.stdout.write(error.code + ' '))
      await spill.save([{ ...event, action: 'short' }])`
    const output = execFileSync(
      'sh',
      ['-c', 'ulimit -f 1; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      {
        env: {
          ...process.env,
          DIRECTORY: directory,
          SPILL: new URL('../../dist/audit/spill.js', import.meta.url).href,
        },
        encoding: 'utf8',
      },
    )
    expect(output).toBe('EFBIG EFBIG EFBIG ')
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/\.jsonl$/)])
  })

  it('a process that ends loses none of them: the next one writes them, with the time they happened', async () => {
    const log = start()
    await takeAway()
    const before = new Date()
    log.record(event('a'))
    log.record(event('b', { address: '192.0.2.1' }))
    await log.close()
    expect(await onDisk()).toEqual(['a', 'b'])
    const ended = new Date()
    await putBack()
    start()
    const rows = await until(async () => {
      const found = await own.sql<{ occurred_at: Date }>('select occurred_at from audit_events')
      return found.length === 2 ? found : undefined
    })
    for (const { occurred_at: at } of rows) expect(at >= before && at <= ended).toBe(true)
    expect(await own.sql('select field, value from audit_personal')).toEqual([
      { field: 'address', value: '192.0.2.1' },
    ])
  })

  it('events that several processes find at once are written once', async () => {
    const log = start()
    await takeAway()
    for (let n = 0; n < 700; n += 1) log.record(event(`event-${n}`))
    await log.close()
    await putBack()
    start()
    start()
    start()
    await until(async () => ((await onDisk()).length === 0 ? true : undefined))
    await until(async () => ((await actions()).length >= 700 ? true : undefined))
    for (const one of logs.splice(0)) await one.close()
    expect(await actions()).toHaveLength(700)
  })

  it('a write whose answer was lost is not made twice', async () => {
    let lost = 0
    const log = start({
      run: (...args) => database.run(...args),
      rows: async <Row>(...args: Parameters<Database['rows']>) => {
        const rows = await database.rows<Row>(...args)
        if (lost++ < 2) throw new Error('the answer was lost')
        return rows
      },
    })
    log.record(event('a'))
    await until(async () => (lost > 2 && (await onDisk()).length === 0 ? true : undefined))
    expect(await actions()).toEqual(['a'])
  })

  it('and the disk is full too, guard uses stay in memory, and dropped refusals are counted and reported', async () => {
    await writeFile(path.join(directory, 'file'), '')
    const log = start(database, path.join(directory, 'file', 'no-directory'))
    await takeAway()
    for (let n = 0; n < 50_000; n += 1) log.record(event('use'))
    for (let n = 0; n < 7; n += 1) log.recordRefusal(event('refused'))
    expect(log.counts()).toMatchObject({ waiting: 50_000, dropped: 7 })
    log.record(event('last use'))
    await putBack()
    await until(
      async () =>
        (
          await own.sql<{ count: number }>(
            `select (details->>'count')::int as count from audit_events where action = 'audit_events_dropped'`,
          )
        )[0]?.count === 7
          ? true
          : undefined,
      25_000,
    )
    expect(
      await own.sql(`select count(*)::int as n from audit_events where action in ('use', 'last use')`),
    ).toEqual([{ n: 50_001 }])
  })

  it('recording neither waits nor fails', async () => {
    const log = start()
    await takeAway()
    const begun = performance.now()
    for (let n = 0; n < 1000; n += 1) log.record(event('x'))
    expect(performance.now() - begun).toBeLessThan(100)
    await putBack()
  })
})

it('a file that cannot be read is left aside and holds nothing up', async () => {
  await writeFile(path.join(directory, '000-broken.jsonl'), '{"id":')
  const log = start()
  log.record(event('a'))
  await until(async () => ((await actions()).length === 1 ? true : undefined))
  await until(async () =>
    (await readdir(directory)).includes('000-broken.jsonl.unreadable') ? true : undefined,
  )
})

it('events that are not written yet are written when the process ends', async () => {
  const log = start()
  log.record(event('a'))
  await log.close()
  expect(await actions()).toEqual(['a'])
})

describe('the spilled events on disk', () => {
  const dated = (action: string) => ({ ...event(action), id: randomUUID(), occurredAt: new Date() })

  it('are counted as they are written; without any the count is zero', async () => {
    const spill = openSpill(path.join(directory, 'not-there-yet'), logger)
    const written: string[] = []
    const write = (events: AuditEvent[]) => {
      written.push(...events.map(({ action }) => action))
      return Promise.resolve()
    }
    expect(await spill.replay(write)).toBe(0)
    await spill.save([dated('a'), dated('b')])
    await spill.save([dated('c')])
    expect(await spill.replay(write)).toBe(3)
    expect(await spill.replay(write)).toBe(0)
    expect(written.sort()).toEqual(['a', 'b', 'c'])
  })

  it('are not counted as none if the folder cannot be read', async () => {
    await writeFile(path.join(directory, 'file'), '')
    await expect(
      openSpill(path.join(directory, 'file', 'below'), logger).replay(() => Promise.resolve()),
    ).rejects.toThrow('ENOTDIR')
  })

  it('take 256 MiB at most, so that a flood during an outage does not fill the disk', async () => {
    const spill = openSpill(directory, logger)
    const file = path.join(directory, '000-flood.jsonl')
    await writeFile(file, '')
    await truncate(file, 256 * 1024 * 1024)
    await expect(spill.save([dated('a')])).rejects.toThrow('268435456 bytes')
    await truncate(file, 256 * 1024 * 1024 - 1000)
    await spill.save([dated('a')])
    await rm(file)
  })
})

describe('a flood of refusals', () => {
  const told = async () =>
    (
      await own.sql<{ details: { n: number; folded?: number } }>(
        'select details from audit_events order by seq',
      )
    )
      .map(({ details }) => details.folded ?? 1)
      .reduce((sum, count) => sum + count, 0)

  it('is counted whole when the process ends', async () => {
    const log = start()
    for (let n = 0; n < 25; n += 1) log.recordRefusal(event('refused', { n }))
    await log.close()
    expect(await own.sql('select count(*)::int as n from audit_events')).toEqual([{ n: 21 }])
    expect(await told()).toBe(25)
  })

  it('is counted whole when its minute is over, though nothing more comes', async () => {
    const log = start()
    for (let n = 0; n < 25; n += 1) log.recordRefusal(event('refused', { n }))
    const later = performance.now() + 60_000
    jest.spyOn(performance, 'now').mockReturnValue(later)
    try {
      await until(async () => ((await told()) === 25 ? true : undefined))
    } finally {
      jest.restoreAllMocks()
    }
  })

  it('that goes on is counted minute by minute', () => {
    const seen: AuditEvent[] = []
    let now = 0
    const folding = foldRefusals(
      (one) => {
        seen.push(one)
      },
      () => now,
    )
    for (const at of [0, 59_999, 60_000, 119_999, 120_000]) {
      now = at
      for (let n = 0; n < 15; n += 1) folding.refusal(event('refused'))
    }
    folding.settle(true)
    expect(seen.map(({ details }) => (details as { folded?: number }).folded).filter(Boolean)).toEqual([
      10, 10,
    ])
    expect(seen).toHaveLength(20 + 20 + 15 + 2)
  })

  it('that is to be remembered once a minute is', () => {
    const seen: AuditEvent[] = []
    let now = 0
    const folding = foldRefusals(
      (one) => {
        seen.push(one)
      },
      () => now,
    )
    for (const at of [0, 1, 59_999, 60_000, 60_001]) {
      now = at
      folding.once(event('entered'))
      folding.settle()
    }
    expect(seen).toHaveLength(2)
  })

  it('of one user, mandate and action is twenty events a minute, and one that counts the rest', () => {
    const seen: AuditEvent[] = []
    let now = 0
    const folding = foldRefusals(
      (one) => {
        seen.push(one)
      },
      () => now,
    )
    for (let n = 0; n < 100; n += 1) folding.refusal(event('refused', { n }))
    folding.refusal({ ...event('refused'), userId: users.bob })
    expect(seen).toHaveLength(21)
    now = 60_000
    folding.settle()
    expect(seen.at(-1)?.details).toEqual({ n: 99, folded: 80 })
    folding.refusal(event('refused'))
    expect(seen).toHaveLength(23)
  })
})
