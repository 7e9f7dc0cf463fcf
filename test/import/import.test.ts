import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from '@jest/globals'
import { authorities } from '../../src/domain/authorities.js'
import bcrypt from 'bcrypt'
import { jsonOf } from '../support/cli.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { importerOf } from '../support/importer.js'
import { createOldSide, mappingFile, oldPasswords, type OldSide } from '../support/old-side.js'

interface Report {
  kinds: Record<string, Record<string, number>>
  sessionsOfTokens: number
  refused: { kind: string; row: number; reason: string }[]
}

let gateway: TestGateway
let folder: string
let old: OldSide
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-import-'))
})
beforeEach(async () => {
  old = await createOldSide()
})
afterEach(async () => {
  await old.drop()
  await reset()
})
afterAll(async () => {
  await gateway.stop()
  await rm(folder, { recursive: true, force: true })
})

const {
  run,
  importExample: imported,
  sql,
  oldSql,
  requestContext: asked,
  logIn,
  reset,
} = importerOf<Report>(
  () => gateway,
  () => old,
)
const totals = ({ kinds }: Report) =>
  Object.values(kinds).reduce<Record<string, number>>((sum, counts) => {
    for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count
    return sum
  }, {})
const mapping = async (text: string) => {
  const file = path.join(folder, `${randomUUID()}.yaml`)
  await writeFile(file, text)
  return file
}

describe('an import from the old database', () => {
  it('says beforehand what it will do, does just that, and does nothing the second time', async () => {
    await old.token('anna')
    const count = async () =>
      (
        await sql<{ n: number }>(
          `select (select count(*) from users) + (select count(*) from tokens) + (
              select count(*) from imported_rows
            ) + (select count(*) from audit_events) as n`,
        )
      )[0]?.n
    const before = await count()
    const rehearsed = await imported('--dry-run')
    expect(await count()).toBe(before)
    const made = await imported()
    expect({ ...rehearsed, dryRun: 0, seconds: 0, coherence: 0 }).toEqual({
      ...made,
      dryRun: 0,
      seconds: 0,
      coherence: 0,
    })
    expect(made.kinds).toMatchObject({
      mandates: { read: 2, made: 2 },
      users: { made: 2 },
      user_mandates: { made: 2 },
      user_mandate_roles: { made: 1 },
      access_rules: { made: 1 },
      tokens: { made: 1 },
    })
    expect(totals(await imported())).toEqual({
      read: 10,
      made: 0,
      updated: 0,
      unchanged: 10,
      kept: 0,
      leftOut: 0,
      gone: 0,
      ended: 0,
      refused: 0,
    })
    expect(await sql('select slug, label from mandates where id = $1', [old.ids.north])).toEqual([
      { slug: 'north-soehne', label: 'North & Söhne' },
    ])
    expect(
      (
        await sql<{ n: number }>(
          `select count(*)::int as n
            from audit_events
            where action = 'directory_imported' and occurred_at > now() - interval '1 minute'`,
        )
      )[0]?.n,
    ).toBeGreaterThan(0)
  }, 60_000)

  it('keeps people signed in on running nodes: with capitals, with sid null or empty, with a session', async () => {
    const [nulled, empty, foreign] = [
      await old.token('anna'),
      await old.token('anna', { sid: '' }),
      await old.token('ben'),
    ]
    const session = randomUUID()
    const inSession = await old.token('anna', { sid: session })
    await oldSql('update "Token" set "sessionId" = $1 where id = $2', [session, inSession.jti])
    await oldSql('update "Token" set "createdAt" = null where id = $1', [empty.jti])
    const over = await old.token('anna', {}, -60)
    // and the node remembers that there is no such user
    expect((await asked(nulled.token, old.ids.north)).status).toBe(401)
    const report = await imported()
    expect([report.kinds.tokens, report.sessionsOfTokens]).toEqual([
      expect.objectContaining({ read: 5, made: 4, leftOut: 1 }),
      1,
    ])
    for (const { token } of [nulled, empty, inSession]) {
      expect(await asked(token, old.ids.north)).toMatchObject({
        status: 200,
        body: {
          user: { username: 'Anna.Muster' },
          mandateId: old.ids.north,
          roleIds: [old.ids.editor],
          rules: [expect.objectContaining({ item: 'crm', read: 'a', update: 'g', delete: 'n' })],
        },
      })
    }
    expect((await asked(over.token)).status).toBe(401)
    expect(await asked(foreign.token, old.ids.north)).toMatchObject({
      status: 403,
      body: { code: 'not_a_member' },
    })
  }, 60_000)

  it('lets people in by their old password, and never puts back a password that was changed here since', async () => {
    await imported()
    expect(await logIn('anna.muster', oldPasswords.anna)).toBe(200)
    const hashOf = async () =>
      (
        await sql<{ hash: string }>('select password_hash as hash from users where id = $1', [old.ids.anna])
      )[0]?.hash
    const rehashed = await hashOf()
    expect(rehashed).toMatch(/^\$argon2id/)
    await oldSql('update "UserInDB" set "hashedPassword" = $1, email = \'new@example.com\'', [
      await bcrypt.hash('another password 1', 5),
    ])
    const again = await imported()
    expect(again.kinds.users).toMatchObject({ updated: 2, kept: 0 })
    expect(await hashOf()).toBe(rehashed)
    expect([
      await logIn('ben', 'another password 1'),
      await logIn('ben', oldPasswords.ben),
      await logIn('Anna.Muster', 'another password 1'),
    ]).toEqual([200, 401, 401])
    // Anna's and Ben's hashes are of here now
    expect((await imported()).kinds.users).toMatchObject({ updated: 0, kept: 2 })
  }, 60_000)

  it('never enables or makes again what was disabled, revoked or deleted here since', async () => {
    const { token, jti } = await old.token('anna')
    await imported()
    expect((await asked(token, old.ids.north)).status).toBe(200)
    await sql('update users set enabled = false where id = $1', [old.ids.ben])
    await sql("update tokens set status = 'revoked' where id = $1", [jti])
    await sql('delete from user_mandates where user_id = $1', [old.ids.anna])
    await oldSql('update "UserInDB" set email = \'x@example.com\'')
    const report = await imported()
    expect(report.kinds).toMatchObject({
      tokens: { kept: 1, made: 0 },
      user_mandates: { kept: 1, made: 0, unchanged: 1 },
      users: { updated: 2 },
      user_mandate_roles: { made: 0, refused: 1 },
    })
    expect(await sql('select enabled, email from users where id = $1', [old.ids.ben])).toEqual([
      { enabled: false, email: 'x@example.com' },
    ])
    expect((await asked(token)).status).toBe(401)
    expect(await sql('select from user_mandates where user_id = $1', [old.ids.anna])).toEqual([])
    await sql('delete from users where id = $1', [old.ids.anna]) // as an erasure does
    expect(
      await sql("select columns from imported_rows where kind = 'users' and key = $1", [old.ids.anna]),
    ).toEqual([{ columns: {} }])
    expect((await imported()).kinds.users).toMatchObject({ made: 0, kept: 2 }) // Ben is disabled here
    expect(await sql('select from users where id = $1', [old.ids.anna])).toEqual([])
  }, 90_000)

  it('takes over what changed on the old side only, and a disabling and a revocation at once', async () => {
    const { token, jti } = await old.token('anna')
    const bens = await old.token('ben')
    await imported()
    expect([(await asked(token)).status, (await asked(bens.token)).status]).toEqual([200, 200])
    await oldSql('update "Token" set status = \'revoked\' where id = $1', [jti])
    await oldSql('update "UserInDB" set enabled = false where id = $1', [old.ids.ben])
    await oldSql('delete from "UserMandate" where id = $1', [old.ids.annaNorth])
    expect((await imported()).kinds).toMatchObject({
      tokens: { updated: 1 },
      users: { updated: 1 },
      user_mandates: { gone: 1 },
    })
    expect([(await asked(token)).status, (await asked(bens.token)).status]).toEqual([401, 403])
  }, 60_000)

  it('makes admins and says so in the audit, and a later one changes nothing of what they sign in with', async () => {
    await oldSql('update "UserInDB" set "isSysAdmin" = true where id = $1', [old.ids.anna])
    await imported()
    expect(
      await sql(
        `select details -> 'after' ->> 'isSysAdmin' as level
          from audit_events
          where action = 'user_created' and details ->> 'subject' = $1`,
        [`user:${old.ids.anna}`],
      ),
    ).toEqual([{ level: 'true' }])
    await oldSql('update "UserInDB" set "hashedPassword" = $1, enabled = false, "isSysAdmin" = id <> $2', [
      await bcrypt.hash('taken over 1', 5),
      old.ids.anna,
    ])
    expect((await imported()).kinds.users).toMatchObject({ updated: 1, kept: 1 })
    expect(await logIn('anna.muster', 'taken over 1')).toBe(401)
    expect(
      await sql('select id, enabled, is_sys_admin from users where id in ($1, $2) order by is_sys_admin', [
        old.ids.anna,
        old.ids.ben,
      ]),
    ).toEqual([
      { id: old.ids.ben, enabled: false, is_sys_admin: false },
      { id: old.ids.anna, enabled: true, is_sys_admin: true },
    ])
  }, 60_000)

  it('refuses each bad row with its number and column, and takes the others; it shows no hash', async () => {
    const hash = 'a94a8fe5ccb19ba61c4c0873d391e987982fbbd3'
    const expensive = `$2b$31$${'a'.repeat(53)}`
    await oldSql(
      `insert into "UserInDB" (id, username, "hashedPassword")
        values ($1, 'BEN', null), ('7', 'x', null), ($2, 'sha', $3), ($4, 'alice', null), ($5, 'slow', $6)`,
      [randomUUID(), randomUUID(), hash, randomUUID(), randomUUID(), expensive],
    )
    await oldSql('insert into "UserMandate" values ($1, $2, $3)', [randomUUID(), randomUUID(), old.ids.north])
    await oldSql('insert into "UserMandateRole" values ($1, $2, $3)', [
      randomUUID(),
      old.ids.benSouth,
      old.ids.editor,
    ])
    await oldSql(
      `insert into "Token" (id, "userId", authority, status, "expiresAt")
        values ($1, $2, 'ldap', 'active', 9999999999)`,
      [randomUUID(), old.ids.ben],
    )
    const shown = await run([mappingFile])
    expect(shown.code).toBe(1)
    for (const line of [
      'users, row 2: username: row 3 has the same',
      'users, row 3: username: row 2 has the same',
      'users, row 4: id: must be a UUID',
      'users, row 5: password_hash: is no bcrypt or argon2 hash',
      'users, row 6: username: another user here has it',
      'users, row 7: password_hash: is no bcrypt or argon2 hash',
      'user_mandates, row 2: user_id: there is no such row of users here',
      'user_mandates, row 3: user_id: there is no such row',
      'user_mandate_roles, row 2: user_mandate_id: there is no such row',
      `tokens, row 1: authority: must be one of ${authorities.join(', ')}`,
    ])
      expect(shown.stdout).toContain(`refused: ${line.replace('another user', 'another row')}`)
    expect(shown.stdout).not.toContain(hash)
    expect(await sql('select username from users where id = $1', [old.ids.anna])).toEqual([
      { username: 'Anna.Muster' },
    ])
  }, 60_000)

  it('refuses a role of another mandate, where it would not count', async () => {
    await oldSql('insert into "UserMandateRole" values ($1, $2, $3)', [
      randomUUID(),
      old.ids.benSouth,
      old.ids.editor,
    ])
    expect((await imported()).refused).toEqual([
      {
        kind: 'user_mandate_roles',
        row: 2,
        reason: 'role_id: the role is of another mandate, where it would not count',
      },
    ])
  }, 60_000)

  it('makes nothing at all where something fails on the way', async () => {
    const file = await mapping(`source: { url: $OLD_DATABASE_URL }
mandates: { from: Mandate, columns: { id: id, label: name } }
users: { from: select * from "UserInDB" where 1 / (length(username) - 3) > 0 , columns: { id: id, username: username } }
`)
    expect(await run([file])).toMatchObject({ code: 1, stderr: expect.stringContaining('division by zero') })
    expect(await sql('select from mandates where id = $1', [old.ids.north])).toEqual([])
  }, 60_000)

  it('says what the database refused, and calls only a database that cannot be asked unavailable', async () => {
    const file = await mapping(`source: { url: $OLD_DATABASE_URL }
features: { from: "select repeat('x', 101) as code, 'too long' as label", columns: { code: code, label: label } }
`)
    const refused = await run([file])
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^The database refused this: .*features_code_check.* \(SQLSTATE 23514\)\. Repeating it does not help/,
      ),
    })
    expect(refused.stderr).not.toContain('unavailable')
    await sql(
      `create function refuse() returns trigger language plpgsql as $$
        begin raise not_null_violation
        using message = 'a value is missing'; end $$`,
    )
    await sql('create trigger refuse before insert on mandates execute function refuse()')
    expect((await run([mappingFile])).stderr).toContain(
      'The database refused this: a value is missing (SQLSTATE 23502)',
    )
    await sql('drop function refuse() cascade')
    const away = await run([mappingFile], { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' })
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('temporarily unavailable') })
  }, 60_000)

  it('cannot write to the old side, whatever its queries say', async () => {
    const file = await mapping(`source: { url: $OLD_DATABASE_URL }
users:
  { from: 'with gone as (delete from "UserInDB" returning *) select * from gone',
    columns: { id: id, username: username } }
`)
    expect((await run([file])).code).toBe(1)
    expect(await oldSql('select from "UserInDB"')).toHaveLength(2)
  })
})

describe('an import from CSV files', () => {
  it('reads quotes, line breaks, empty cells and defaults, and names memberships by user and mandate', async () => {
    const [mandate, user, role] = [randomUUID(), randomUUID(), randomUUID()]
    await writeFile(
      path.join(folder, 'm.csv'),
      `\ufeffid,name,on\r\n${mandate},"Quoted ""Ltd"",\nsecond line",t\r\n`,
    )
    await writeFile(
      path.join(folder, 'u.csv'),
      `id,login,mail,secret\n${user},csv.user,,${await bcrypt.hash('csv password 1', 4)}\n${randomUUID()},,"",\n`,
    )
    await writeFile(path.join(folder, 'r.csv'), `id,m,l\n${role},${mandate},editor`)
    await writeFile(path.join(folder, 'ur.csv'), `u,m,r\n${user},${mandate},${role}\n`)
    const file = await mapping(`source: { csv: . }
mandates: { from: m.csv, columns: { id: id, label: name, enabled: 'on' } }
users:
  { from: u.csv, columns: { id: id, username: login, email: mail, password_hash: secret },
    defaults: { enabled: true } }
roles: { from: r.csv, columns: { id: id, mandate_id: m, label: l } }
user_mandates: { from: ur.csv, columns: { user_id: u, mandate_id: m } }
user_mandate_roles: { from: ur.csv, columns: { user_id: u, mandate_id: m, role_id: r } }
`)
    const report = jsonOf<Report>(await run([file, '--json']))
    expect([totals(report).made, report.refused]).toEqual([
      5,
      [{ kind: 'users', row: 3, reason: 'username: is empty' }],
    ])
    expect(await sql('select label, slug from mandates where id = $1', [mandate])).toEqual([
      { label: 'Quoted "Ltd",\nsecond line', slug: 'quoted-ltd-second-line' },
    ])
    expect(await logIn('csv.user', 'csv password 1')).toBe(200)
    expect(
      await sql(
        `select r.role_id
          from user_mandate_roles r
          join user_mandates m on m.id = r.user_mandate_id
          where m.user_id = $1`,
        [user],
      ),
    ).toEqual([{ role_id: role }])
  }, 60_000)

  it.each([
    ['id,login\n"unclosed,x\n', ':2: a quote is not closed'],
    ['id,login\n1,2,3\n', ':2: has 3 cells, and the header 2'],
    ['id,login\n"a"b,c\n', ':2: text stands behind a closing quote'],
    ['', ':1: the file is empty'],
    [
      'id,name\nx,y\n',
      'users: the old side has no column login, which the mapping file names for username. It has id, name',
    ],
  ])('says where a file is wrong (%#)', async (content, message) => {
    await writeFile(path.join(folder, 'wrong.csv'), content)
    const file = await mapping(
      'source: { csv: . }\nusers: { from: wrong.csv, columns: { id: id, username: login } }\n',
    )
    expect(await run([file])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) })
  })
})

describe('a mapping file', () => {
  it.each([
    [
      'source: { csv: . }\nusers:\n  from: u.csv\n  columns: { id: id }\n',
      ':4: users › columns: needs username, here or under defaults',
    ],
    [
      'source: { csv: . }\nusers:\n  from: u.csv\n  columns:\n    id: id\n    name: x\n    username: y\n',
      ':6: users › columns › name: is no column of users: it has id, username',
    ],
    ['source: { csv: . }\npeople: {}\n', ':1: Unrecognized key: "people"'],
    ['source: {}\n', ':1: source: must be { url: $OLD_DATABASE_URL }'],
    ['source: { csv: . }\n', ':1: maps nothing: name at least one of mandates, users'],
    ['source: { csv: .\nusers: 1', ':2: '],
    [
      'source: { url: $NOT_THERE }\nusers: { from: x, columns: { id: id, username: u } }\n',
      'The environment variable NOT_THERE',
    ],
    [
      'source: { url: "postgres://u:hidden@127.0.0.1:1/x" }\nusers: { from: x, columns: { id: id, username: u } }\n',
      'The old database cannot be reached',
    ],
  ])('that is wrong says where and what to do (%#)', async (text, message) => {
    const { code, stdout, stderr } = await run([await mapping(text)])
    expect([code > 0, stdout, stderr]).toEqual([true, '', expect.stringContaining(message)])
    expect(stderr).not.toContain('hidden')
  })
})
