import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { createLogger, transports } from 'winston'
import { insertAuditEvents } from '../../src/audit/audit-queries.js'
import { findLastCheckpoint } from '../../src/audit/chain-queries.js'
import { checkpointKeys, type Checkpoint } from '../../src/audit/checkpoint.js'
import { dated, type AuditEvent } from '../../src/audit/event.js'
import { startSealer, type Sealer } from '../../src/audit/sealer.js'
import { verifyChain } from '../../src/audit/verify-chain.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, users } from '../support/demo.js'
import { testSecret } from '../support/gateway.js'
import { until } from '../support/until.js'

const logger = createLogger({ transports: [new transports.Console({ silent: true })] })
const keys = checkpointKeys({ secret: testSecret })

let own: TestDatabase
let database: Database
let directory: string
let recorded: AuditEvent[]
const sealers: Sealer[] = []

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-chain-'))
  own = await createTestDatabase()
  database = connectDatabase({ url: own.url, setRole: false })
})
afterAll(async () => {
  await database.close()
  await own.drop()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  recorded = []
})
afterEach(async () => {
  for (const sealer of sealers.splice(0)) await sealer.close()
  await own.sql('truncate audit_events, audit_seals, audit_personal restart identity')
  await own.sql('alter table audit_events enable trigger stamp')
  await rm(path.join(directory, 'audit'), { recursive: true, force: true })
})

/** A sealer that seals when it is told to. */
function sealer(secret = testSecret, previousSecret?: string): Sealer {
  const one = startSealer({
    database,
    logger,
    keys: checkpointKeys({ secret, previousSecret }),
    directory: path.join(directory, 'audit'),
    everyMs: 3_600_000,
    audit: {
      record: (event) => {
        recorded.push(event)
      },
    },
  })
  sealers.push(one)
  return one
}

const event = (action: string, details: object = {}) =>
  dated({ userId: users.alice, mandateId: mandates.acme, action, details, requestId: 'r' })

async function sealed(count: number): Promise<Sealer> {
  const one = sealer()
  for (let n = 1; n <= count; n += 1)
    await insertAuditEvents(database, [event(`event-${n}`, { n, address: `192.0.2.${n}` })])
  await one.seal()
  return one
}

const verify = (checkpoints: Checkpoint[] = [], with_ = keys) =>
  verifyChain({ sql: database, keys: with_, checkpoints })
const kinds = async (checkpoints: Checkpoint[] = []) =>
  (await verify(checkpoints)).faults.map(({ kind, position }) => `${kind} ${position}`)
const last = async (): Promise<Checkpoint> =>
  (await findLastCheckpoint(database)) ??
  (() => {
    throw new Error('nothing is sealed')
  })()
const positions = async () =>
  (
    await own.sql<{ action: string }>(
      'select e.action from audit_seals s join audit_events e on e.seq = s.seq order by s.position',
    )
  ).map(({ action }) => action)

describe('an untouched chain', () => {
  it('holds every event once, in order, and its end is signed', async () => {
    const one = await sealed(5)
    await insertAuditEvents(database, [event('event-6'), event('event-7')])
    await one.seal()
    expect(await positions()).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `event-${n}`))
    expect(await verify([await last()])).toEqual({
      events: 7,
      position: 7,
      signatures: 2,
      erased: 0,
      faults: [],
    })
  })

  it('is sealed once by many sealers at once', async () => {
    const all = [sealer(), sealer(), sealer(), sealer()]
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([
        insertAuditEvents(
          database,
          Array.from({ length: 20 }, (_, n) => event(`${round} ${n}`)),
        ),
        ...all.map((one) => one.seal()),
      ])
    }
    await Promise.all(all.map((one) => one.seal()))
    await sealer().seal()
    expect(await verify()).toMatchObject({ events: 200, position: 200, faults: [] })
  })

  it('is sealed in batches of any number', async () => {
    const one = sealer()
    await insertAuditEvents(
      database,
      Array.from({ length: 2345 }, (_, n) => event(`event ${n}`)),
    )
    await one.seal()
    expect(await verify()).toMatchObject({ events: 2345, signatures: 3, faults: [] })
  })

  it('keeps numbers beyond doubles, microseconds and infinite times apart', async () => {
    const one = sealer()
    await own.sql(
      `insert into audit_events (occurred_at, action, details)
        values ('2026-11-25 08:00:00.123456+00', 'precise', '{"n": 12345678901234567890.12345678901234567890}'),
          ('infinity', 'endless', '{}')`,
    )
    await one.seal()
    expect(await kinds()).toEqual([])
    await own.sql(
      `update audit_events set details = '{"n": 12345678901234567890.12345678901234567891}' where action = 'precise'`,
    )
    expect(await kinds()).toEqual(['edited 1'])
    await own.sql(
      `update audit_events
        set details = '{"n": 12345678901234567890.12345678901234567890}',
          occurred_at = '2026-11-25 08:00:00.123457+00'
        where action = 'precise'`,
    )
    expect(await kinds()).toEqual(['edited 1'])
  })
})

describe('tampering is found', () => {
  it.each([
    ['the action', `action = 'harmless'`],
    ['the details', `details = details || '{"n": 99}'`],
    ['the user', `user_id = '${users.bob}'`],
    ['the mandate', `mandate_id = 'system'`],
    ['the time', `occurred_at = occurred_at - interval '1 second'`],
    ['the request', `request_id = 'other'`],
    ['the id', 'id = gen_random_uuid()'],
    ['the hashes of personal values', `personal = '{}'`],
  ])('an edit of %s', async (_what, change) => {
    await sealed(5)
    await own.sql(`update audit_events set ${change} where action = 'event-3'`)
    expect((await kinds()).filter((one) => one.startsWith('edited'))).toEqual(['edited 3'])
  })

  it('an edit whose link was made to fit', async () => {
    await sealed(5)
    await own.sql(`update audit_events set action = 'harmless' where action = 'event-3'`)
    const { contentOf } = await import('../../src/audit/chain.js')
    const { listSealedEvents } = await import('../../src/audit/chain-queries.js')
    const edited = (await listSealedEvents(database, 2, 1))[0]?.event
    await own.sql(`update audit_seals set content = decode($1, 'hex') where position = 3`, [
      contentOf(edited!),
    ])
    expect(await kinds()).toEqual(['reordered 3'])
  })

  it('a deletion', async () => {
    await sealed(5)
    await own.sql(`delete from audit_events where action = 'event-2'`)
    expect(await kinds()).toEqual(['deleted 2'])
  })

  it('a deletion together with its link', async () => {
    await sealed(5)
    await own.sql(
      `delete from audit_seals where seq = (select seq from audit_events where action = 'event-2')`,
    )
    await own.sql(`delete from audit_events where action = 'event-2'`)
    expect(await kinds()).toEqual(['gap 2'])
  })

  it('a deletion whose gap was closed by renumbering', async () => {
    await sealed(5)
    await own.sql(`delete from audit_seals where position = 2`)
    await own.sql(`delete from audit_events where action = 'event-2'`)
    for (const position of [3, 4, 5])
      await own.sql(`update audit_seals set position = $1 where position = $2`, [position - 1, position])
    expect((await kinds()).length).toBeGreaterThan(0)
  })

  it('a link that was taken away while its event stayed', async () => {
    const one = await sealed(5)
    // That an event should be sealed can be said once all transactions before it have ended, those of other
    // databases of the server, too.
    await until(async () => {
      await insertAuditEvents(database, [event('later')])
      await one.seal()
      return (
        (
          await own.sql(
            `select
              from audit_events
              where action = 'event-2'
                and xid < (select horizon from audit_seals order by position desc limit 1)`,
          )
        ).length === 1
      )
    }, 20_000)
    await own.sql('delete from audit_seals where position = 2')
    expect(await kinds()).toEqual(['gap 2', 'not_sealed null'])
  })

  it('two events whose contents were exchanged', async () => {
    await sealed(5)
    await own.sql(`update audit_events a
      set action = b.action, details = b.details, occurred_at = b.occurred_at, personal = b.personal,
        id = gen_random_uuid()
      from audit_events b
                    where (a.action, b.action) in (('event-2', 'event-4'), ('event-4', 'event-2'))`)
    expect((await kinds()).filter((one) => one.startsWith('edited'))).toEqual(['edited 2', 'edited 4'])
  })

  it('two links that were exchanged', async () => {
    await sealed(5)
    await own.sql('update audit_seals set position = -position where position in (2, 4)')
    await own.sql('update audit_seals set position = 6 + position where position < 0')
    expect(await kinds()).toEqual(expect.arrayContaining(['reordered 2', 'reordered 4']))
  })

  it('a tail that was cut off, by a checkpoint that was kept elsewhere', async () => {
    const one = await sealed(3)
    await insertAuditEvents(database, [event('event-4'), event('event-5')])
    await one.seal()
    const kept = await last()
    await own.sql(`delete from audit_seals where position > 3`)
    await own.sql(`delete from audit_events where action in ('event-4', 'event-5')`)
    expect(await kinds()).toEqual([])
    expect(await kinds([kept])).toEqual(['cut 5'])
  })

  it('a tail that was cut off and grew again, by the same checkpoint', async () => {
    const one = await sealed(3)
    await insertAuditEvents(database, [event('event-4')])
    await one.seal()
    const kept = await last()
    await own.sql('delete from audit_seals where position > 3')
    await own.sql(`delete from audit_events where action = 'event-4'`)
    await insertAuditEvents(database, [event('event-4')])
    await sealer().seal()
    expect(await kinds()).toEqual([])
    expect(await kinds([kept])).toEqual(['rewritten 4'])
  })

  it('a chain that was rebuilt as a whole: the database alone cannot sign it', async () => {
    await sealed(3)
    await own.sql('delete from audit_seals')
    await sealer('another-secret-0123456789-abcdefghijk').seal()
    expect(await kinds()).toEqual(['not_signed 1'])
  })

  it('a signature that was put on another link', async () => {
    const one = await sealed(3)
    await insertAuditEvents(database, [event('event-4')])
    await one.seal()
    await own.sql(
      'update audit_seals a set signature = b.signature from audit_seals b where a.position = 4 and b.position = 3',
    )
    expect(await kinds()).toEqual(['signature_wrong 4', 'not_signed 4'])
  })

  it('a checkpoint that was made up', async () => {
    await sealed(3)
    const kept = await last()
    expect(await kinds([{ ...kept, position: 2 }])).toEqual(['signature_wrong 2'])
    const foreign = checkpointKeys({ secret: 'another-secret-0123456789-abcdefghijk' }).sign(kept)
    expect(await kinds([foreign])).toEqual(['signature_wrong 3'])
  })

  it('an event that was put in behind the end of the chain, as if it had been there', async () => {
    await sealed(3)
    await own.sql(`alter table audit_events disable trigger stamp`)
    await own.sql(`insert into audit_events (xid, action) values ('1', 'put in')`)
    expect(await kinds()).toEqual(['not_sealed null'])
  })
})

describe('the order', () => {
  it('an event of a slow transaction is sealed, though its number is lower than those sealed meanwhile', async () => {
    const one = await sealed(2)
    const slow = new pg.Client(own.ownerUrl)
    await slow.connect()
    try {
      await slow.query('begin')
      await slow.query(`insert into audit_events (action) values ('slow')`)
      for (const action of ['quick-1', 'quick-2']) {
        await insertAuditEvents(database, [event(action)])
        await one.seal()
      }
      expect(await positions()).toEqual(['event-1', 'event-2', 'quick-1', 'quick-2'])
      await slow.query('commit')
      await one.seal()
      expect(await positions()).toEqual(['event-1', 'event-2', 'quick-1', 'quick-2', 'slow'])
      expect(
        (
          await own.sql<{ late: boolean }>(
            `select seq < (select seq from audit_events where action = 'quick-1') as late
              from audit_events
              where action = 'slow'`,
          )
        )[0],
      ).toEqual({ late: true })
    } finally {
      await slow.end()
    }
    expect(await kinds()).toEqual([])
  })

  it('nor is one of a transaction that had begun to write before, and comes to its event after', async () => {
    const one = await sealed(1)
    const slow = new pg.Client(own.ownerUrl)
    await slow.connect()
    try {
      await slow.query('begin')
      await slow.query('select pg_current_xact_id()')
      for (let n = 0; n < 3; n += 1) {
        await insertAuditEvents(database, [event(`quick-${n}`)])
        await one.seal()
      }
      await slow.query(`insert into audit_events (action) values ('slow')`)
      await one.seal()
      await slow.query('commit')
      await one.seal()
    } finally {
      await slow.end()
    }
    expect(await positions()).toEqual(['event-1', 'quick-0', 'quick-1', 'quick-2', 'slow'])
    expect(await kinds()).toEqual([])
  })

  it('a slow transaction that is taken back holds nothing up for good', async () => {
    const one = await sealed(1)
    const slow = new pg.Client(own.ownerUrl)
    await slow.connect()
    await slow.query('begin')
    await slow.query(`insert into audit_events (action) values ('slow')`)
    await insertAuditEvents(database, [event('quick')])
    await slow.query('rollback')
    await slow.end()
    await one.seal()
    expect(await positions()).toEqual(['event-1', 'quick'])
  })

  it('goes on in a database that was restored on another server, whose transactions are numbered anew', async () => {
    const one = await sealed(3)
    // as a restored dump has them: numbers that this server has not reached
    await own.sql(`alter table audit_events disable trigger stamp`)
    await own.sql(
      `insert into audit_events (xid, action) values ('900000000000', 'restored, not sealed yet')`,
    )
    await own.sql(`alter table audit_events enable trigger stamp`)
    await own.sql(`update audit_events set xid = '800000000000' where action = 'event-3'`)
    await own.sql(`update audit_seals set horizon = '800000000001' where position = 3`)
    await insertAuditEvents(database, [event('new-1')])
    await one.seal()
    await insertAuditEvents(database, [event('new-2')])
    await one.seal()
    expect(await positions()).toEqual([
      'event-1',
      'event-2',
      'event-3',
      'new-1',
      'restored, not sealed yet',
      'new-2',
    ])
    expect(await kinds()).toEqual([])
  })
})

describe('the sealer', () => {
  it('seals nothing onto an end that is not signed, and says so', async () => {
    const one = await sealed(2)
    await own.sql(
      `insert into audit_seals (position, seq, horizon, content, hash, sealed_at)
        values (3, 999, '1', '\\x00', '\\x00', now())`,
    )
    await insertAuditEvents(database, [event('later')])
    await one.seal()
    expect(await own.sql('select max(position)::int as n from audit_seals')).toEqual([{ n: 3 }])
    expect(recorded).toMatchObject([
      { action: 'audit_chain_broken', details: { reason: 'its end is not signed; nothing more is sealed' } },
    ])
  })

  it('notices that the chain was rewritten, by the checkpoint in memory', async () => {
    const one = await sealed(3)
    await own.sql(`delete from audit_seals`)
    await own.sql(`delete from audit_events where action = 'event-3'`)
    await one.seal()
    expect(recorded).toMatchObject([
      { action: 'audit_chain_broken', details: { reason: 'it is shorter than it was', position: 3 } },
    ])
  })

  it('notices it after a restart too, by the checkpoint on disk, and keeps the proof', async () => {
    const first = await sealed(3)
    const kept = await last()
    await first.close()
    expect(JSON.parse(await readFile(path.join(directory, 'audit', 'checkpoint.json'), 'utf8'))).toEqual(kept)
    await own.sql('delete from audit_seals')
    await own.sql(`update audit_events set action = 'harmless' where action = 'event-3'`)
    await sealer().seal() // whoever starts now seals the edited event
    expect(recorded).toMatchObject([{ action: 'audit_chain_broken' }])
    expect(await kinds()).toEqual([])
    const proof = JSON.parse(
      await readFile(path.join(directory, 'audit', 'checkpoint-3-contradicted.json'), 'utf8'),
    ) as Checkpoint
    expect(await kinds([proof])).toEqual(['rewritten 3'])
  })

  it('goes on under a new secret; former signatures count while theirs is known, or through later ones', async () => {
    await sealed(2)
    const [former, next] = [testSecret, 'next-secret-0123456789-abcdefghijklmn']
    await insertAuditEvents(database, [event('event-3')])
    await sealer(next, former).seal()
    expect((await verify([], checkpointKeys({ secret: next, previousSecret: former }))).faults).toEqual([])
    expect((await verify([], checkpointKeys({ secret: next }))).faults).toEqual([])
    expect((await verify([], keys)).faults.map(({ kind }) => kind)).toEqual(['not_signed'])
    expect(
      (await verify([], checkpointKeys({ publicKeys: [checkpointKeys({ secret: next }).publicKey()] })))
        .faults,
    ).toEqual([])
  })

  it('seals by itself', async () => {
    sealers.push(
      startSealer({
        database,
        logger,
        keys,
        directory: path.join(directory, 'audit'),
        everyMs: 5,
        audit: {
          record: (one) => {
            recorded.push(one)
          },
        },
      }),
    )
    await insertAuditEvents(database, [event('event-1')])
    await until(async () => (await positions())[0])
    expect(await kinds()).toEqual([])
  })
})

describe('a person', () => {
  it('can be erased, and the chain still holds', async () => {
    const one = sealer()
    await insertAuditEvents(database, [
      dated({
        userId: users.petra,
        mandateId: 'system',
        action: 'user_changed',
        requestId: 'r',
        details: {
          subject: `user:${users.bob}`,
          address: '192.0.2.1',
          before: { email: 'bob@example.com', enabled: true },
          after: { email: 'robert@example.com', enabled: true },
        },
      }),
      dated({
        userId: users.bob,
        mandateId: mandates.acme,
        action: 'access_denied',
        requestId: 'r',
        details: { address: '192.0.2.2' },
      }),
    ])
    await one.seal()
    const { erasePersonalValues } = await import('../../src/audit/audit-queries.js')
    expect(await database.transaction((tx) => erasePersonalValues(tx, users.bob))).toBe(3)
    expect(await own.sql('select field, value from audit_personal')).toEqual([
      { field: 'address', value: '192.0.2.1' },
    ])
    const rest =
      JSON.stringify(await own.sql('select * from audit_events')) +
      JSON.stringify(await own.sql('select * from audit_personal'))
    expect(rest).not.toMatch(/bob@example|robert@|192\.0\.2\.2/)
    expect(await verify()).toMatchObject({ events: 2, erased: 3, faults: [] })
  })

  it('whose values were changed instead is found', async () => {
    await sealed(3)
    await own.sql(`update audit_personal set value = '203.0.113.9' where value = '192.0.2.2'`)
    expect(await kinds()).toEqual(['personal_edited 2'])
  })

  it('the hash that stays is of a key that goes: the same value has another hash each time', async () => {
    await insertAuditEvents(database, [
      event('a', { address: '192.0.2.7' }),
      event('b', { address: '192.0.2.7' }),
    ])
    const hashes = await own.sql<{ h: string }>(`select personal->>'address' as h from audit_events`)
    expect(new Set(hashes.map(({ h }) => h)).size).toBe(2)
  })
})

describe('the gateway’s role', () => {
  it.each([
    `update audit_events set action = 'x'`,
    'delete from audit_events',
    'truncate audit_events',
    `update audit_seals set hash = '\\x00'`,
    'delete from audit_seals',
    'truncate audit_seals',
    `update audit_personal set value = 'x'`,
    'alter table audit_events disable trigger stamp',
  ])('may not: %s', async (statement) => {
    await expect(database.run(statement)).rejects.toMatchObject({ cause: { code: '42501' } })
  })

  it('cannot choose when its events are sealed', async () => {
    await database.run(
      `insert into audit_events (xid, action) values ('999999999999', 'later'), ('1', 'earlier')`,
    )
    expect(
      await own.sql(
        `select count(*)::int as n from audit_events where xid = any(array['999999999999', '1']::xid8[])`,
      ),
    ).toEqual([{ n: 0 }])
  })
})
