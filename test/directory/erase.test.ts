import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { insertAuditEvents } from '../../src/audit/audit-queries.js'
import { checkpointKeys } from '../../src/audit/checkpoint.js'
import { dated } from '../../src/audit/event.js'
import { startSealer } from '../../src/audit/sealer.js'
import { verifyChain } from '../../src/audit/verify-chain.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { administrationOf, type Administration } from '../support/administration.js'
import { jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

const keys = checkpointKeys({ secret: testSecret })

describe('a person', () => {
  let database: TestDatabase
  let gateway: TestGateway
  let pool: Database
  let administration: Administration
  let person: Newcomer
  let count = 0
  /** In all that is personal of the person, and in nothing else. */
  let mark: string
  beforeAll(async () => {
    database = await createTestDatabase()
    gateway = await startTestGateway({ database, environment: { COHERENCE_LEASE_MS: '5000' } })
    pool = connectDatabase({ url: database.url, setRole: false })
    administration = administrationOf(gateway)
  })
  afterAll(async () => {
    await pool.close()
    await gateway.stop()
    await database.drop()
  })
  const ask: Administration['ask'] = (...all) => administration.ask(...all)

  beforeEach(async () => {
    const directory = directoryOf(database)
    person = await directory.user()
    count += 1
    mark = `xanadu${count}`
    await directory.join(person.id, mandates.acme, { roles: [roles.viewer] })
    await directory.grant(person.id, instances.acmeCrm, { roles: [roles.crmReader] })
    expect(
      (
        await ask('petra', 'patch', `/admin/users/${person.id}`, {
          body: { email: `${mark}@example.com`, fullName: `Zoe ${mark}` },
        })
      ).status,
    ).toBe(200)
    await ask('petra', 'patch', `/admin/users/${person.id}`, { body: { fullName: `Zora ${mark}` } })
    await database.sql(
      'insert into user_identities (user_id, authority, issuer, subject, email) values ($1, $2, $3, $4, $5)',
      [person.id, 'google', 'https://accounts.google.com', `sub-${mark}`, `${mark}@gmail.example`],
    )
    await database.sql('update sessions set address = $2, user_agent = $3 where user_id = $1', [
      person.id,
      '192.0.2.77',
      `Browser ${mark}`,
    ])
    await database.sql('update users set password_hash = $2 where id = $1', [person.id, `$argon2id$${mark}`])
    await insertAuditEvents(pool, [
      dated({
        userId: person.id,
        mandateId: 'system',
        action: 'seen',
        details: { address: mark },
        requestId: 'r',
      }),
    ])
  })

  /** Every table of the database in which the text is. */
  async function tablesWith(text: string): Promise<string[]> {
    const tables = await database.sql<{ name: string }>(
      `select quote_ident(table_name) as name
        from information_schema.tables
        where table_schema = 'public' and table_type = 'BASE TABLE'`,
    )
    const found = await Promise.all(
      tables.map(async ({ name }) =>
        (await database.sql(`select from ${name} t where t::text like $1 limit 1`, [`%${text}%`])).length > 0
          ? [name]
          : [],
      ),
    )
    return found.flat().sort()
  }

  const sealAndVerify = async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'erase-'))
    const sealer = startSealer({
      database: pool,
      logger: { warn: () => undefined, error: () => undefined } as never,
      keys,
      directory,
      audit: { record: () => undefined },
      everyMs: 1_000_000,
    })
    await sealer.seal()
    await sealer.close()
    await rm(directory, { recursive: true })
    return (await verifyChain({ sql: pool, keys })).faults
  }

  describe('is exported', () => {
    it('with all that the directory holds, and without hashes, secrets and tokens', async () => {
      const { status, body, headers, text } = await ask('petra', 'get', `/admin/users/${person.id}/export`)
      expect(status).toBe(200)
      expect(headers['content-disposition']).toContain(`user-${person.id}.json`)
      expect(body).toMatchObject({
        user: {
          id: person.id,
          username: person.username,
          email: `${mark}@example.com`,
          fullName: `Zora ${mark}`,
          hasPassword: true,
        },
        identities: [{ authority: 'google', subject: `sub-${mark}`, email: `${mark}@gmail.example` }],
        memberships: [{ slug: 'acme', roles: [{ id: roles.viewer, label: 'viewer' }] }],
        accesses: [{ instanceId: instances.acmeCrm, roles: [{ id: roles.crmReader }] }],
        sessions: [{ address: '192.0.2.77', userAgent: `Browser ${mark}` }],
        tokens: [{ status: 'active', purpose: 'auth_session' }],
        audit: { events: expect.any(Number), personalValues: expect.any(Number) },
      })
      expect(text).not.toMatch(/argon2|hash"|Hash"/)
    })

    it('to platform admins alone; who is not there is 404', async () => {
      expect((await ask('alice', 'get', `/admin/users/${person.id}/export`)).status).toBe(403)
      expect(
        (await ask('petra', 'get', '/admin/users/00000000-0000-4000-8000-0000000fffff/export')).status,
      ).toBe(404)
    })
  })

  describe('is erased', () => {
    const erase = (who: Parameters<typeof ask>[0], id = person.id, query = '') =>
      ask(who, 'post', `/admin/users/${id}/erase${query}`)

    it('from every table, at once on every node; the id stays in the audit, and its chain holds', async () => {
      expect(await sealAndVerify()).toEqual([])
      expect(await tablesWith(mark)).toEqual([
        'audit_personal',
        'sessions',
        'user_identities',
        'user_terms',
        'users',
      ])
      expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(200)
      const { status, body } = await erase('petra')
      expect([status, body.coherence.acked]).toEqual([200, 1])
      expect(await tablesWith(mark)).toEqual([])
      expect(await tablesWith(person.username)).toEqual([])
      expect(await tablesWith(person.id)).toEqual(['audit_erased', 'audit_events'])
      expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(401)
      const [event] = await database.sql<{ user_id: string; details: Record<string, unknown> }>(
        `select user_id, details from audit_events where action = 'user_erased' order by seq desc limit 1`,
      )
      expect(event).toMatchObject({
        user_id: users.petra,
        details: { subject: `user:${person.id}`, after: { values: expect.any(Number) } },
      })
      expect(await sealAndVerify()).toEqual([])
      expect((await erase('petra')).status).toBe(404)
    })

    it('for good: late events about them, from a queue or a disk, are kept without personal data', async () => {
      await erase('petra')
      await insertAuditEvents(pool, [
        dated({
          userId: person.id,
          mandateId: 'system',
          action: 'late',
          details: { address: '192.0.2.77', username: mark },
          requestId: 'r',
        }),
      ])
      expect(
        await database.sql(`select personal ? 'address' as hashed from audit_events where action = 'late'`),
      ).toEqual([{ hashed: true }])
      expect(await tablesWith(mark)).toEqual([])
      expect(await sealAndVerify()).toEqual([])
    })

    it('also of what a transaction is recording at this moment', async () => {
      let erasing: ReturnType<typeof erase> | undefined
      await pool.transaction(async (tx) => {
        await insertAuditEvents(tx, [
          dated({
            userId: person.id,
            mandateId: 'system',
            action: 'meanwhile',
            details: { address: mark },
            requestId: 'r',
          }),
        ])
        erasing = erase('petra')
        void erasing.catch(() => undefined)
        await until(
          async () =>
            (
              await database.sql(
                `select from pg_locks where relation = 'audit_personal'::regclass and not granted`,
              )
            )[0],
        )
      })
      expect((await erasing)?.status).toBe(200)
      expect(await tablesWith(mark)).toEqual([])
    })

    it('by platform admins alone, not by themselves, nor by a platform admin who is a SysAdmin', async () => {
      const directory = directoryOf(database)
      const [sysAdmin, platformAdmin] = [
        await directory.user({ isSysAdmin: true }),
        await directory.user({ isPlatformAdmin: true }),
      ]
      expect((await erase('petra', sysAdmin.id)).body.code).toBe('sysadmin_required')
      expect((await erase({ token: platformAdmin.token }, platformAdmin.id)).body.code).toBe('conflict')
      expect((await erase('alice')).status).toBe(403)
      expect(
        await database.sql('select from users where id = any($1)', [
          [sysAdmin.id, platformAdmin.id, person.id],
        ]),
      ).toHaveLength(3)
      await database.sql('delete from users where id = any($1)', [[sysAdmin.id, platformAdmin.id]])
    })

    it('only in words with dryRun: it says what would end, and nothing is changed', async () => {
      const { status, body } = await erase('petra', person.id, '?dryRun=1')
      expect([status, body.dryRun, body.sessions.count, body.tokens.count]).toEqual([200, true, 1, 1])
      expect(await tablesWith(mark)).toContain('users')
      expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(200)
    })

    it('after having been deleted before, by a SysAdmin: what the audit still says', async () => {
      expect((await ask('petra', 'delete', `/admin/users/${person.id}`)).status).toBe(200)
      expect(await tablesWith(mark)).toEqual(['audit_personal'])
      expect((await ask('root', 'delete', `/system/audit/persons/${person.id}`)).body.erased).toBeGreaterThan(
        0,
      )
      expect(await tablesWith(mark)).toEqual([])
    })

    it('who still is a user is remembered on, when a SysAdmin erases what the audit says', async () => {
      expect((await ask('root', 'delete', `/system/audit/persons/${person.id}`)).status).toBe(200)
      // nobody erases what the audit says about themselves
      const [before] = await database.sql('select count(*) from audit_personal where person_id = $1', [
        users.root,
      ])
      const own = await ask('root', 'delete', `/system/audit/persons/${users.root}`)
      expect([own.status, own.body.code]).toEqual([409, 'conflict'])
      expect(
        await database.sql('select count(*) from audit_personal where person_id = $1', [users.root]),
      ).toEqual([before])
      await insertAuditEvents(pool, [
        dated({
          userId: person.id,
          mandateId: 'system',
          action: 'later',
          details: { address: mark },
          requestId: 'r',
        }),
      ])
      expect(await tablesWith(mark)).toContain('audit_personal')
    })
  })

  it('is exported and erased from the command line', async () => {
    const run = (args: string[]) =>
      runCli(args, {
        DATABASE_URL: database.url,
        DATABASE_MIGRATION_URL: database.ownerUrl,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: `${testSecret}-portal`,
      })
    expect(jsonOf(await run(['user', 'export', person.username]))).toMatchObject({
      user: { id: person.id, email: `${mark}@example.com` },
    })
    expect(jsonOf(await run(['user', 'erase', person.username, '--dry-run', '--json']))).toMatchObject({
      dryRun: true,
      sessions: 1,
      tokens: 1,
    })
    expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(200)
    expect(await run(['user', 'erase', person.username])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Nothing was changed\..*--yes/),
    })
    expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(200)
    expect((await run(['user', 'erase', person.username, '--yes'])).code).toBe(0)
    expect((await ask({ token: person.token }, 'get', '/auth/me')).status).toBe(401)
    expect(await tablesWith(mark)).toEqual([])
    expect(await run(['user', 'erase', 'root', '--yes'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/last SysAdmin/),
    })
  })
})
