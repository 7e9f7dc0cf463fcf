import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { importerOf } from '../support/importer.js'
import { createOldSide, mappingFile, oldPasswords, type OldSide } from '../support/old-side.js'

interface Report {
  kinds: Record<string, Record<string, number>>
  gone: { kind: string; key: string; ended: boolean; reason: string | null }[]
}

let gateway: TestGateway
let old: OldSide
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
})
beforeEach(async () => {
  old = await createOldSide()
})
afterEach(async () => {
  await old.drop()
  await reset()
})
afterAll(() => gateway.stop())

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

describe('what is gone on the old side', () => {
  /** Takes Ben and all that he has away on the old side. */
  const takeBenAway = async () => {
    await oldSql('delete from "UserMandateRole" where "userMandateId" = $1', [old.ids.benSouth])
    await oldSql('delete from "UserMandate" where "userId" = $1', [old.ids.ben])
    await oldSql('delete from "Token" where "userId" = $1', [old.ids.ben])
    await oldSql('delete from "UserInDB" where id = $1', [old.ids.ben])
  }
  const enabled = async (id: string) =>
    (await sql<{ enabled: boolean }>('select enabled from users where id = $1', [id]))[0]?.enabled
  const changes = ({ kinds }: Report) =>
    Object.values(kinds).reduce(
      (sum, { made = 0, updated = 0, ended = 0 }) => sum + made + updated + ended,
      0,
    )

  it('is named and left as it is without --end-gone', async () => {
    const { token } = await old.token('ben')
    await old.token('anna')
    await imported()
    await takeBenAway()
    const report = await imported()
    expect(report.gone.map(({ kind, ended }) => [kind, ended])).toEqual([
      ['users', false],
      ['user_mandates', false],
      ['tokens', false],
    ])
    expect(report.gone[1]?.key).toBe(`${old.ids.ben}:${old.ids.south}`)
    expect((await run([mappingFile])).stdout).toContain(`gone: users, ${old.ids.ben}\n`)
    expect((await asked(token, old.ids.south)).status).toBe(200)
  }, 60_000)

  it('ends at once on nodes that run, as the dry run says, with an event of each row, and once', async () => {
    const { token } = await old.token('ben')
    const session = randomUUID()
    const inSession = await old.token('ben', { sid: session })
    await oldSql('update "Token" set "sessionId" = $1 where id = $2', [session, inSession.jti])
    const annas = await old.token('anna')
    await imported()
    expect((await asked(token, old.ids.south)).status).toBe(200)
    await takeBenAway()
    const rehearsed = await imported('--end-gone', '--dry-run')
    expect(await enabled(old.ids.ben)).toBe(true)
    const report = await imported('--end-gone')
    expect([report.kinds, report.gone]).toEqual([rehearsed.kinds, rehearsed.gone])
    expect(report.kinds).toMatchObject({
      users: { ended: 1, gone: 0 },
      user_mandates: { ended: 1, gone: 0 },
      tokens: { ended: 2, gone: 0 },
    })
    expect([
      (await asked(token)).status,
      (await asked(inSession.token)).status,
      (await asked(annas.token, old.ids.north)).status,
    ]).toEqual([403, 403, 200])
    expect(
      await sql(
        `select enabled,
            (select count(*)::int from sessions where user_id = u.id and ended_at is null) as sessions
          from users u
          where id = $1`,
        [old.ids.ben],
      ),
    ).toEqual([{ enabled: false, sessions: 0 }])
    expect(await sql('select from user_mandates where user_id = $1', [old.ids.ben])).toEqual([])
    expect(
      await sql(
        `select action, mandate_id
          from audit_events
          where details -> 'after' ->> 'by' = 'import'
            and (details ->> 'subject' = $1 or details -> 'before' ->> 'userId' = $2)
          order by seq`,
        [`user:${old.ids.ben}`, old.ids.ben],
      ),
    ).toEqual([
      { action: 'member_removed', mandate_id: old.ids.south },
      { action: 'user_changed', mandate_id: 'system' },
    ])
    const again = await imported('--end-gone')
    expect([changes(again), again.gone]).toEqual([0, []])
  }, 90_000)

  it('ends sessions and tokens that somebody who is gone got here, so that none of them counts again', async () => {
    await imported()
    expect(await logIn('ben', oldPasswords.ben)).toBe(200)
    await takeBenAway()
    await imported('--end-gone')
    expect(
      await sql(
        `select (select count(*)::int from sessions where user_id = $1 and ended_at is null) as sessions,
            (select count(*)::int from tokens where user_id = $1 and status = 'active') as tokens`,
        [old.ids.ben],
      ),
    ).toEqual([{ sessions: 0, tokens: 0 }])
  }, 60_000)

  it('removes dependent rights first, and never a row that newer rows refer to', async () => {
    await imported()
    const viewer = randomUUID()
    await sql("insert into roles (id, mandate_id, label) values ($1, $2, 'viewer')", [viewer, old.ids.south])
    await sql('insert into user_mandate_roles (user_mandate_id, role_id) values ($1, $2)', [
      old.ids.benSouth,
      viewer,
    ])
    await takeBenAway()
    for (const table of ['UserMandateRole', 'AccessRule']) await oldSql(`delete from "${table}"`)
    await oldSql('update "Role" set id = $1', [randomUUID()])
    const report = await imported('--end-gone', '--end-all', 'user_mandate_roles', 'access_rules')
    expect(report.kinds).toMatchObject({
      user_mandate_roles: { ended: 1 },
      access_rules: { ended: 1 },
      roles: { ended: 1, made: 1 },
      user_mandates: { ended: 0, gone: 1 },
      users: { ended: 1 },
    })
    expect(report.gone).toContainEqual({
      kind: 'user_mandates',
      key: `${old.ids.ben}:${old.ids.south}`,
      ended: false,
      reason: 'roles that stay are assigned to it',
    })
    expect(await sql('select from user_mandate_roles where role_id = $1', [viewer])).toHaveLength(1)
  }, 60_000)

  it('is left where somebody has changed it here since', async () => {
    await imported()
    await sql("update roles set label = 'changed here' where id = $1", [old.ids.editor])
    await sql('update user_mandates set enabled = false where user_id = $1', [old.ids.ben])
    await sql('update access_rules set "delete" = \'a\' where role_id = $1', [old.ids.editor])
    await takeBenAway()
    for (const table of ['UserMandateRole', 'AccessRule', 'Role']) await oldSql(`delete from "${table}"`)
    const report = await imported('--end-gone', '--end-all', 'user_mandate_roles', 'access_rules', 'roles')
    expect(report.gone.filter(({ ended }) => !ended).map(({ kind, reason }) => [kind, reason])).toEqual(
      ['roles', 'access_rules', 'user_mandates'].map((kind) => [kind, 'it was changed here since']),
    )
    await sql('update users set enabled = true where id = $1', [old.ids.ben]) // an operator lets him in again
    expect((await imported('--end-gone')).gone).toContainEqual({
      kind: 'users',
      key: old.ids.ben,
      ended: false,
      reason: 'it was changed here since',
    })
    expect(await enabled(old.ids.ben)).toBe(true)
  }, 90_000)

  it('never disables an account with a platform level, and says so', async () => {
    await imported()
    await sql('update users set is_platform_admin = true where id = $1', [old.ids.ben])
    await takeBenAway()
    const report = await imported('--end-gone')
    expect(report.gone).toContainEqual({
      kind: 'users',
      key: old.ids.ben,
      ended: false,
      reason: 'the account holds a platform level: disable it yourself',
    })
    expect(await enabled(old.ids.ben)).toBe(true)
  }, 60_000)

  it.each([
    ['no rows', 'delete from "UserInDB"'],
    ['no row whose key can be read', 'update "UserInDB" set id = right(id, 4)'],
  ])(
    'disables nobody where the old side has %s, unless that is asked for',
    async (message, statement) => {
      await imported()
      await oldSql(statement)
      expect(await run([mappingFile, '--end-gone'])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(
          new RegExp(
            `^users: the old side has ${message}, and 2 imported before would end\\. .*--end-all users$`,
            'm',
          ),
        ),
      })
      expect([await enabled(old.ids.anna), await enabled(old.ids.ben)]).toEqual([true, true])
      expect((await run([mappingFile, '--end-all', 'users'])).stderr).toContain('Add --end-gone.')
      await imported('--end-gone', '--end-all', 'users')
      expect([await enabled(old.ids.anna), await enabled(old.ids.ben)]).toEqual([false, false])
    },
    90_000,
  )

  it('never takes a row that is refused for one that is gone', async () => {
    await imported()
    await oldSql('update "UserInDB" set "hashedPassword" = \'a hash of another kind\' where id = $1', [
      old.ids.ben,
    ])
    expect((await imported('--end-gone')).kinds.users).toMatchObject({ refused: 1, gone: 0, ended: 0 })
    expect(await enabled(old.ids.ben)).toBe(true)
  }, 60_000)

  it('is put in again when it comes back, without the sessions and tokens that it had', async () => {
    const { token, jti } = await old.token('ben')
    await old.token('anna')
    await imported()
    const kept = await old.database.sql<{ kept: object }>(
      'select to_jsonb(u) as kept from "UserInDB" u where id = $1',
      [old.ids.ben],
    )
    const keptToken = await old.database.sql<{ kept: object }>(
      'select to_jsonb(t) as kept from "Token" t where id = $1',
      [jti],
    )
    await takeBenAway()
    await imported('--end-gone')
    await oldSql('insert into "UserInDB" select * from jsonb_populate_record(null::"UserInDB", $1)', [
      JSON.stringify(kept[0]?.kept),
    ])
    await oldSql('insert into "Token" select * from jsonb_populate_record(null::"Token", $1)', [
      JSON.stringify(keptToken[0]?.kept),
    ])
    await oldSql('insert into "UserMandate" values ($1, $2, $3)', [
      old.ids.benSouth,
      old.ids.ben,
      old.ids.south,
    ])
    expect((await imported('--end-gone')).kinds).toMatchObject({
      users: { updated: 1 },
      user_mandates: { made: 1 },
      tokens: { kept: 1, made: 0, updated: 0 },
    })
    expect([
      await enabled(old.ids.ben),
      (await asked(token)).status,
      await logIn('ben', oldPasswords.ben),
    ]).toEqual([true, 401, 200])
    expect(changes(await imported('--end-gone'))).toBe(0)
    await takeBenAway()
    expect((await imported('--end-gone')).kinds).toMatchObject({
      users: { ended: 1 },
      user_mandates: { ended: 1 },
    }) // it is the import's again
  }, 120_000)

  it('is not put in again where somebody has made it here and removed it since', async () => {
    await imported()
    await oldSql('delete from "UserMandate" where id = $1', [old.ids.benSouth])
    await imported('--end-gone')
    await sql('insert into user_mandates (user_id, mandate_id) values ($1, $2)', [old.ids.ben, old.ids.south])
    expect((await imported('--end-gone')).kinds.user_mandates).toMatchObject({ gone: 0, ended: 0 })
    expect(await sql('select from user_mandates where user_id = $1', [old.ids.ben])).toHaveLength(1)
    await sql('delete from user_mandates where user_id = $1', [old.ids.ben])
    await oldSql('insert into "UserMandate" values ($1, $2, $3)', [
      old.ids.benSouth,
      old.ids.ben,
      old.ids.south,
    ])
    expect((await imported('--end-gone')).kinds.user_mandates).toMatchObject({ made: 0, kept: 1 })
  }, 90_000)
})
