import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { jsonOf, runCli } from '../support/cli.js'
import { tokenFor, users } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'

describe('why a token does not count', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(() => gateway.stop())

  const run = (args: string[], input: string) =>
    runCli(
      args,
      {
        DATABASE_URL: gateway.database.url,
        DATABASE_MIGRATION_URL: gateway.database.ownerUrl,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: `${testSecret}-portal`,
      },
      input,
    )
  const withoutRow = async () => {
    const made = await tokenFor(gateway.database, 'alice')
    await gateway.database.sql('delete from tokens where id = $1', [made.jti])
    return made.token
  }
  const other = randomUUID()

  it.each<[string, () => Promise<string>, RegExp, RegExp?]>([
    ['there is no row', withoutRow, /^row 8: there is no row for the jti [0-9a-f-]{36}$/],
    [
      'the row has no session',
      async () =>
        (await tokenFor(gateway.database, 'alice', { row: { sessionId: null }, claims: { sid: other } }))
          .token,
      new RegExp(`^row 8: the row has session none, the token says ${other}$`),
    ],
    [
      'the row has another session',
      async () => (await tokenFor(gateway.database, 'alice', { claims: { sid: other } })).token,
      new RegExp(`^row 8: the row has session [0-9a-f-]{36}, the token says ${other}$`),
    ],
    [
      'the row has another authority',
      async () =>
        (await tokenFor(gateway.database, 'alice', { claims: { authenticationAuthority: 'google' } })).token,
      /^row 8: the row has the authority local, the token says google$/,
    ],
    [
      'the row is revoked',
      async () => (await tokenFor(gateway.database, 'alice', { row: { status: 'revoked' } })).token,
      /^row 8: the row is revoked$/,
    ],
    [
      'the row is another user’s',
      async () => (await tokenFor(gateway.database, 'alice', { row: { userId: users.bob } })).token,
      new RegExp(`^row 8: the row is of the user ${users.bob}, the token says ${users.alice}$`),
    ],
    [
      'the username is written otherwise',
      async () => (await tokenFor(gateway.database, 'alice', { claims: { sub: 'al.ice' } })).token,
      /^row 5: the username is written otherwise: the token says al\.ice, the user is called alice$/,
      /^row 5: there is no user called al\.ice$/,
    ],
  ])(
    'is told to operators when %s, and callers learn only token_invalid',
    async (_what, make, why, inLog = why) => {
      const token = await make()
      const response = await fetch(`${gateway.url}/auth/me`, {
        headers: { Authorization: `Bearer ${token}`, 'X-Request-Id': 'asked-why' },
      })
      const body = await response.text()
      expect([response.status, JSON.parse(body)]).toEqual([
        401,
        expect.objectContaining({ code: 'token_invalid', detail: 'Invalid authentication credentials' }),
      ])
      expect(body).not.toMatch(/row \d/)
      const line = gateway.logLines
        .map((text) => JSON.parse(text) as { message: string; why?: string; level: string })
        .findLast(({ message }) => message === 'the token does not count')
      expect(line).toMatchObject({
        level: 'debug',
        why: expect.stringMatching(inLog),
        requestId: 'asked-why',
      })

      const inspected = await run(['token', 'inspect', '--json'], token)
      expect(jsonOf(inspected)).toMatchObject({
        counts: false,
        reason: 'token_invalid',
        why: expect.stringMatching(why),
      })
      expect((await run(['token', 'inspect'], token)).stdout).toMatch(/^why +row [58]: /m)
      const doctor = await run(['doctor', '--json', '--token'], token)
      expect(doctor.code).toBe(1)
      expect(jsonOf(doctor).findings).toContainEqual(
        expect.objectContaining({
          check: 'token',
          level: 'fault',
          says: expect.stringContaining('it does not count: token_invalid (row '),
        }),
      )
      for (const text of [...gateway.logLines, inspected.stdout, doctor.stdout])
        expect(text).not.toContain(token.split('.')[2]!)
    },
    60_000,
  )
})
