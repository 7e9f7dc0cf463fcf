import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { archiveAudit, verifyArchive } from '../../src/audit/archive.js'
import { insertAuditEvents } from '../../src/audit/audit-queries.js'
import { findLastCheckpoint } from '../../src/audit/chain-queries.js'
import { checkpointKeys } from '../../src/audit/checkpoint.js'
import { dated } from '../../src/audit/event.js'
import { keepCheckpoint } from '../../src/audit/known-checkpoint.js'
import { startSealer, type Sealer } from '../../src/audit/sealer.js'
import { verifyChain } from '../../src/audit/verify-chain.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { users } from '../support/demo.js'
import { testSecret } from '../support/gateway.js'

const keys = checkpointKeys({ secret: testSecret })
const actor = { userId: null, requestId: 'r', operator: 'ops@here' }
const tomorrow = () => new Date(Date.now() + 86_400_000)

describe('the audit’s archive', () => {
  let own: TestDatabase
  let database: Database
  let owner: Database
  let directory: string
  const sealers: Sealer[] = []
  const recorded: { action: string }[] = []
  beforeAll(async () => {
    own = await createTestDatabase()
    database = connectDatabase({ url: own.url, setRole: false })
    owner = connectDatabase({ url: own.ownerUrl, setRole: false, poolSize: 1 })
  })
  afterAll(async () => {
    await database.close()
    await owner.close()
    await own.drop()
  })
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'archive-'))
    recorded.length = 0
    for (const table of ['audit_archives', 'audit_seals', 'audit_personal', 'audit_events'])
      await own.sql(`truncate ${table}`)
  })
  afterEach(async () => {
    for (const one of sealers.splice(0)) await one.close()
    await rm(directory, { recursive: true })
  })

  const logger = { warn: () => undefined, error: () => undefined } as never
  const sealer = (kept = path.join(directory, 'audit')) => {
    const made = startSealer({
      database,
      logger,
      keys,
      directory: kept,
      everyMs: 1_000_000,
      audit: {
        record: (event) => {
          recorded.push(event)
        },
      },
    })
    sealers.push(made)
    return made
  }
  const record = (action: string) =>
    insertAuditEvents(database, [
      dated({
        userId: users.bob,
        mandateId: 'system',
        action,
        details: { address: `192.0.2.1`, n: 1.5 },
        requestId: randomUUID(),
      }),
    ])
  const sealed = async (...actions: string[]) => {
    const one = sealer()
    for (const action of actions) {
      await record(action)
      await one.seal()
    }
    return one
  }
  const archive = (name = 'a.jsonl', options: Partial<Parameters<typeof archiveAudit>[0]> = {}) =>
    archiveAudit({
      database: owner,
      keys,
      before: tomorrow(),
      fileFor: () => path.join(directory, name),
      actor,
      ...options,
    })
  const kinds = async (options: Partial<Parameters<typeof verifyChain>[0]> = {}) =>
    (await verifyChain({ sql: database, keys, ...options })).faults.map(({ kind }) => kind)
  const actions = async () =>
    (await own.sql<{ action: string }>('select action from audit_events order by seq')).map(
      ({ action }) => action,
    )
  const verifyByCli = (...files: string[]) =>
    runCli(
      ['audit', 'verify', '--json', ...files.flatMap((name) => ['--archive', path.join(directory, name)])],
      {
        DATABASE_URL: own.url,
        DATABASE_MIGRATION_URL: own.ownerUrl,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: testSecret,
        DATA_DIR: directory,
      },
    )

  it('takes what is old out of the database; both verify alone and together, and the chain goes on', async () => {
    const one = await sealed('old-1', 'old-2')
    const made = await archive()
    expect(made).toMatchObject({ events: 2, position: 2 })
    expect(await actions()).toEqual(['audit_archived'])
    await record('new-1')
    await one.seal()
    expect(await kinds()).toEqual([])
    expect((await archive('b.jsonl'))?.position).toBe(4)
    await one.seal()
    expect(
      await own.sql('select count(*)::int as seals, min(position)::int as first from audit_seals'),
    ).toEqual([{ seals: 2, first: 4 }])
    expect(await verifyArchive(path.join(directory, 'a.jsonl'), keys)).toMatchObject({
      events: 2,
      faults: [],
      values: 2,
      digest: made?.digest,
    })
    const together = await verifyByCli('b.jsonl', 'a.jsonl')
    expect(together.code).toBe(0)
    expect(jsonOf(together)).toMatchObject({ faults: [], archived: 0, events: 5 })
    const alone = await verifyByCli()
    expect([alone.code, jsonOf(alone).archived]).toEqual([0, 4])
    const without = await verifyByCli('b.jsonl')
    expect([without.code, without.stdout]).toEqual([
      1,
      expect.stringContaining('the archive before it is missing'),
    ])
    expect(recorded).toEqual([])
  })

  it('takes only what was sealed before the moment, and nothing where nothing is so old', async () => {
    await sealed('old', 'new')
    await own.sql(`update audit_seals set sealed_at = now() + interval '2 days' where position = 2`)
    expect((await archive())?.events).toBe(1)
    expect(await actions()).toEqual(['new', 'audit_archived'])
    expect(await archive('b.jsonl', { before: new Date(0) })).toBeUndefined()
    expect(await readdir(directory)).not.toContain('b.jsonl')
  })

  it('loses nothing in a crash before the removal: the rows are there, and archiving can be repeated', async () => {
    await sealed('old-1', 'old-2')
    await expect(
      archive('a.jsonl', { beforeRemoval: () => Promise.reject(new Error('crash')) }),
    ).rejects.toThrow('crash')
    expect(await actions()).toEqual(['old-1', 'old-2'])
    expect(await kinds()).toEqual([])
    expect((await verifyArchive(path.join(directory, 'a.jsonl'), keys)).faults).toEqual([])
    expect((await archive('b.jsonl'))?.events).toBe(2)
    const together = await verifyByCli('a.jsonl', 'b.jsonl')
    expect([together.code, jsonOf(together).faults]).toEqual([0, []])
  })

  it('is on the disk as a whole, and verified, before anything is removed', async () => {
    await sealed('old-1', 'old-2')
    let seen = ''
    await archive('a.jsonl', {
      beforeRemoval: async () => {
        seen = await readFile(path.join(directory, 'a.jsonl'), 'utf8')
      },
    })
    expect(seen.split('\n').filter(Boolean)).toHaveLength(3)
    expect(await readFile(path.join(directory, 'a.jsonl'), 'utf8')).toBe(seen)
    expect((await readdir(directory)).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it('removes nothing if the chain does not hold, a person is erased meanwhile, or the file exists', async () => {
    await sealed('old-1', 'old-2')
    await expect(
      archive('a.jsonl', {
        beforeRemoval: async () => {
          await own.sql('delete from audit_personal')
        },
      }),
    ).rejects.toThrow('Nothing was removed')
    expect(await actions()).toEqual(['old-1', 'old-2'])
    await writeFile(path.join(directory, 'mine.jsonl'), 'mine')
    await expect(archive('mine.jsonl')).rejects.toThrow('EEXIST')
    expect(await readFile(path.join(directory, 'mine.jsonl'), 'utf8')).toBe('mine')
    await own.sql(`update audit_events set action = 'harmless' where action = 'old-1'`)
    await expect(archive('b.jsonl')).rejects.toThrow(/Nothing was removed: event \d+ is not what was sealed/)
    expect(await actions()).toEqual(['harmless', 'old-2'])
  })

  it('cannot be made by the login of requests', async () => {
    await sealed('old-1')
    await expect(archive('a.jsonl', { database })).rejects.toMatchObject({ cause: { code: '42501' } })
    expect(await actions()).toEqual(['old-1'])
    await expect(
      database.run(`insert into audit_archives values (1, 'x', 1, 'x', 'x', 'x', 'x')`),
    ).rejects.toMatchObject({ cause: { code: '42501' } })
  })

  it('forged by a person with the database alone is found: a removal needs a signed record', async () => {
    await sealed('old-1', 'old-2', 'new')
    const checkpoint = (
      await own.sql<{ hash: string; signed_by: string; signature: string; sealed_at: Date }>(
        `select encode(hash, 'hex') as hash, signed_by, signature, sealed_at from audit_seals where position = 2`,
      )
    )[0]
    await own.sql('delete from audit_events where seq in (select seq from audit_seals where position <= 2)')
    await own.sql('delete from audit_seals where position < 2')
    await own.sql('insert into audit_archives values (2, $1, 2, $2, $3, $4, $5)', [
      checkpoint?.hash,
      'x',
      checkpoint?.sealed_at.toISOString(),
      checkpoint?.signed_by,
      checkpoint?.signature,
    ])
    expect(await kinds()).toEqual(['archived'])
  })

  it('whose events are put back into the database, or whose link there was changed, is found', async () => {
    await sealed('old-1', 'old-2')
    const [seal] = await own.sql<{ seq: string }>('select seq from audit_seals where position = 1')
    await archive()
    await own.sql(
      `insert into audit_seals (position, seq, horizon, content, hash, sealed_at)
        values (1, $1, '1', '\\x00', '\\x00', now())`,
      [seal?.seq],
    )
    expect(await kinds()).toEqual(['archived'])
    await own.sql('delete from audit_seals where position = 1')
    await own.sql(`update audit_seals set hash = '\\x00' where position = 2`)
    expect(await kinds()).toContain('archived')
  })

  it('that was edited or cut is found', async () => {
    await sealed('old-1', 'old-2', 'old-3')
    await archive()
    const file = path.join(directory, 'a.jsonl')
    const whole = await readFile(file, 'utf8')
    await writeFile(file, whole.replace('old-2', 'old-X'))
    expect((await verifyArchive(file, keys)).faults.map(({ kind }) => kind)).toEqual(['edited'])
    await writeFile(file, whole.replace('192.0.2.1', '192.0.2.9'))
    expect((await verifyArchive(file, keys)).faults.map(({ kind }) => kind)).toEqual(['personal_edited'])
    await writeFile(file, whole.split('\n').slice(0, 3).join('\n'))
    expect((await verifyByCli('a.jsonl')).code).toBe(1)
    await writeFile(file, whole.slice(0, -40))
    await expect(verifyArchive(file, keys)).rejects.toThrow('is no archive')
  })

  it('holds earlier checkpoints: a node that kept one raises no alarm, and verify compares it', async () => {
    await sealed('old-1')
    const kept = await findLastCheckpoint(database)
    const one = await sealed('old-2')
    await archive()
    await record('new')
    await one.seal()
    const elsewhere = path.join(directory, 'elsewhere')
    await keepCheckpoint(elsewhere, kept!)
    await sealer(elsewhere).seal()
    expect(recorded).toEqual([])
    expect(await kinds({ checkpoints: [kept!] })).toEqual(['archived'])
    const { hashes } = await verifyArchive(path.join(directory, 'a.jsonl'), keys, [kept!.position])
    expect(await kinds({ checkpoints: [kept!], archived: hashes })).toEqual([])
    expect(await kinds({ checkpoints: [kept!], archived: new Map([[kept!.position, '00']]) })).toEqual([
      'rewritten',
    ])
  })

  it('explains only what it holds: a kept checkpoint of rows cut off after it raises the alarm', async () => {
    await sealed('old-1')
    await archive('a.jsonl')
    await sealed('new-1', 'new-2')
    const kept = await findLastCheckpoint(database)
    await own.sql('delete from audit_events where seq in (select seq from audit_seals where position >= 2)')
    await own.sql('delete from audit_seals where position >= 2')
    const elsewhere = path.join(directory, 'elsewhere')
    await keepCheckpoint(elsewhere, kept!)
    await sealer(elsewhere).seal()
    expect(recorded).toMatchObject([
      { action: 'audit_chain_broken', details: { reason: 'it is shorter than it was' } },
    ])
  })

  it('explains no other link in the place of one that was known', async () => {
    await sealed('old-1')
    const kept = await findLastCheckpoint(database)
    await sealed('old-2')
    await archive()
    const [seal] = await own.sql<{ seq: string }>('select max(seq) + 1 as seq from audit_events')
    await own.sql(
      `insert into audit_seals (position, seq, horizon, content, hash, sealed_at)
        values (1, $1, '1', '\\x00', '\\x00', now())`,
      [seal?.seq ?? 1000],
    )
    const elsewhere = path.join(directory, 'elsewhere')
    await keepCheckpoint(elsewhere, kept!)
    await sealer(elsewhere).seal()
    expect(recorded).toMatchObject([
      { action: 'audit_chain_broken', details: { reason: 'it has been rewritten' } },
    ])
  })

  it('is made by the command line with AUDIT_RETENTION_DAYS, below DATA_DIR', async () => {
    await sealed('old-1', 'new')
    await own.sql(`update audit_seals set sealed_at = sealed_at - interval '10 days' where position = 1`)
    const [{ sealed_at: sealedAt, hash } = { sealed_at: new Date(), hash: '' }] = await own.sql<{
      sealed_at: Date
      hash: string
    }>(`select sealed_at, encode(hash, 'hex') as hash from audit_seals where position = 1`)
    const signed = keys.sign({ position: 1, hash, sealedAt: sealedAt.toISOString() })
    await own.sql('update audit_seals set signature = $1, sealed_at = $2 where position = 1', [
      signed.signature,
      signed.sealedAt,
    ])
    const environment = {
      DATABASE_URL: own.url,
      DATABASE_MIGRATION_URL: own.ownerUrl,
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: testSecret,
      DATA_DIR: directory,
    }
    expect((await runCli(['audit', 'archive'], environment)).stderr).toMatch(/AUDIT_RETENTION_DAYS/)
    const made = await runCli(['audit', 'archive', '--json'], { ...environment, AUDIT_RETENTION_DAYS: '7' })
    expect(jsonOf(made)).toMatchObject({
      archived: 1,
      file: path.join(directory, 'audit', 'archive-1-1.jsonl'),
    })
    expect(await actions()).toEqual(['new', 'audit_archived'])
    expect(await kinds()).toEqual([])
  })
})
