import { createHash, randomUUID } from 'node:crypto'
import { hash as hashArgon2 } from '@node-rs/argon2'
import bcrypt from 'bcrypt'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createDecoys } from '../../src/login/decoys.js'
import { connectDatabase } from '../../src/database/connect.js'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { tokenFor, users } from '../support/demo.js'

const own = '$argon2id$v=19$m=19456,t=2,p=1$'
const password = 'a right password 1'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
})

const logIn = async (username: string, typed: string, headers: Record<string, string> = {}) =>
  await sendRequest(gateway.url, '/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ username, password: typed }),
  })
const insertUser = async (username: string, hash: string | null) =>
  (
    await gateway.database.sql<{ id: string }>(
      'insert into users (username, password_hash) values ($1, $2) returning id',
      [username, hash],
    )
  )[0]?.id ?? ''
const hashOf = async (id: string) =>
  (
    await gateway.database.sql<{ hash: string }>('select password_hash as hash from users where id = $1', [
      id,
    ])
  )[0]?.hash

describe('a hash that was made elsewhere', () => {
  it.each([
    ['bcrypt 2b', () => bcrypt.hash(password, 5)],
    ['bcrypt 2y, as PHP writes it', async () => (await bcrypt.hash(password, 5)).replace('$2b$', '$2y$')],
    ['bcrypt 2a', async () => bcrypt.hash(password, await bcrypt.genSalt(5, 'a'))],
    [
      'argon2id with other parameters',
      () => hashArgon2(password, { memoryCost: 8192, timeCost: 3, parallelism: 4 }),
    ],
    [
      'argon2i',
      () =>
        Promise.resolve(
          '$argon2i$v=19$m=8192,t=3,p=1$geEcCPFdkgT2DE0urOmb3w$PED3/kDpTx51OsCSrf6n/DETzOMy8LLjzuuvLzxzq1Y',
        ),
    ],
  ])(
    '%s lets its owner in, and is replaced by one of our own then; the password stays the same',
    async (_kind, make) => {
      const username = `moved-${randomUUID()}`
      const imported = await make()
      const id = await insertUser(username, imported)
      expect((await logIn(username, 'wrong')).status).toBe(401)
      expect(await hashOf(id)).toBe(imported)
      expect((await logIn(username, password)).status).toBe(200)
      expect((await hashOf(id))?.startsWith(own)).toBe(true)
      expect([(await logIn(username, password)).status, (await logIn(username, 'wrong')).status]).toEqual([
        200, 401,
      ])
    },
  )

  it('that is malformed matches nothing', async () => {
    for (const rubbish of ['', 'plain', '$2b$99$x', '$2b$10$short', '$argon2id$v=19$m=19456,t=2,p=1$x']) {
      const username = `rubbish-${randomUUID()}`
      await insertUser(username, rubbish)
      expect([rubbish, (await logIn(username, rubbish || 'x')).status]).toEqual([rubbish, 401])
    }
  })

  it('hides whether the account exists: unknown names cost the same work, by decoys of every kind', async () => {
    const database = connectDatabase({ url: gateway.database.url, setRole: false })
    try {
      await gateway.database.sql(
        "delete from users where username like 'moved-%' or username like 'rubbish-%'",
      )
      const [{ n } = { n: 0 }] = await gateway.database.sql<{ n: number }>(
        'select count(*)::int as n from users where password_hash is not null',
      )
      const imported = await bcrypt.hash(password, 4)
      for (let count = 0; count < n; count += 1) await insertUser(`share-${count}`, imported)
      const decoyOf = createDecoys({ sql: database, secret: 'a secret' })
      const decoys = await Promise.all(Array.from({ length: 400 }, (_, index) => decoyOf(`unknown-${index}`)))
      const bcrypts = decoys.filter((one) => one.startsWith('$2b$04$')).length
      expect(decoys.filter((one) => one.startsWith(own)).length).toBe(400 - bcrypts)
      expect(bcrypts).toBeGreaterThan(140)
      expect(bcrypts).toBeLessThan(260)
      const elsewhere = createDecoys({ sql: database, secret: 'a secret' })
      const kindOf = (hash: string) => hash.slice(0, 7)
      // on each node the same
      for (let index = 0; index < 20; index += 1)
        expect(kindOf(await elsewhere(`unknown-${index}`))).toBe(kindOf(decoys[index] ?? ''))
    } finally {
      await database.close()
    }
  })
})

describe('passwords and usernames', () => {
  it('typed in another form of the same characters are the same password', async () => {
    const id = await insertUser(
      'composed',
      await hashArgon2('caf\u00e9 au lait 1', { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    )
    expect((await logIn('composed', 'cafe\u0301 au\u00a0lait 1')).status).toBe(200)
    expect(await hashOf(id)).toMatch(/^\$argon2id/)
  })

  it('that were hashed as they were typed work on, and are hashed as prepared from then on', async () => {
    const typed = 'cafe\u0301 au lait 1'
    const id = await insertUser(
      'decomposed',
      await hashArgon2(typed, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    )
    const before = await hashOf(id)
    expect((await logIn('decomposed', typed)).status).toBe(200)
    expect(await hashOf(id)).not.toBe(before)
    expect([
      (await logIn('decomposed', 'caf\u00e9 au lait 1')).status,
      (await logIn('decomposed', typed)).status,
    ]).toEqual([200, 200])
  })

  it('a username with capitals can be imported: any case finds it, and no other differs in case alone', async () => {
    const id = await insertUser('Anna.Moved', await bcrypt.hash(password, 4))
    for (const typed of ['Anna.Moved', 'anna.moved', 'ANNA.MOVED', '\uff21nna.moved'])
      expect([typed, (await logIn(typed, password)).status]).toEqual([typed, 200])
    await expect(insertUser('anna.moved', null)).rejects.toThrow(/users_username_lower/)
    const { token } = await tokenFor(gateway.database, 'alice', {
      claims: { sub: 'anna.MOVED', userId: id },
      row: { userId: id },
    })
    const me = await sendRequest(gateway.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })
    expect([me.status, (JSON.parse(me.text) as { user: { username: string } }).user.username]).toEqual([
      200,
      'Anna.Moved',
    ])
  })

  it('prepares new usernames: mixed scripts are refused, other forms of the same letters are one name', async () => {
    const { token } = await tokenFor(gateway.database, 'petra')
    const make = async (username: string) =>
      await sendRequest(gateway.url, '/admin/users', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
        body: JSON.stringify({ username }),
      })
    expect((await make('\u0430lice')).status).toBe(400) // its first letter is Cyrillic
    const made = await make('rene\u0301')
    expect([made.status, (JSON.parse(made.text) as { username: string }).username]).toEqual([
      201,
      'ren\u00e9',
    ])
    expect((await make('ren\u00e9')).status).toBe(409)
  })
})

it('a user agent is cut at 512 characters in the session and the audit', async () => {
  const agent = createHash('sha256').update('x').digest('hex').repeat(100)
  expect((await logIn('bob', 'demo-password-1', { 'User-Agent': agent })).status).toBe(200)
  const [session] = await gateway.database.sql<{ agent: string }>(
    'select user_agent as agent from sessions where user_id = $1 order by created_at desc limit 1',
    [users.bob],
  )
  expect(session?.agent).toBe(agent.slice(0, 512))
  const values = await gateway.database.sql<{ value: string }>(
    'select value from audit_personal where length(value) > 512',
  )
  expect(values).toEqual([])
})
