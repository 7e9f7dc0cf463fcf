import { hkdfSync } from 'node:crypto'
import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { CompactSign, compactDecrypt, compactVerify, importJWK } from 'jose'
import { createLogger, format, transports } from 'winston'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { openIdentityKeys, type IdentityKeys } from '../../src/proxy/identity-keys.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

const secret = 'the-secret-of-the-tests-0123456789-abc'
const nextSecret = 'another-secret-of-the-tests-0123456789'

let database: TestDatabase
let pool: Database
beforeAll(async () => {
  database = await createTestDatabase()
  pool = connectDatabase({ url: database.url, setRole: false })
})
afterAll(async () => {
  await pool.close()
  await database.drop()
})

let logLines: string[] = []
const logger = createLogger({
  level: 'debug',
  format: format.json(),
  transports: [
    new transports.Stream({
      stream: new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          logLines.push(chunk.toString())
          done()
        },
      }),
    }),
  ],
})

const opened: IdentityKeys[] = []
beforeEach(async () => {
  logLines = []
  await database.sql('delete from identity_keys')
})
afterEach(async () => {
  for (const keys of opened.splice(0)) await keys.close()
})

/** A node's keys. */
async function open(options: Partial<Parameters<typeof openIdentityKeys>[0]> = {}): Promise<IdentityKeys> {
  const keys = await openIdentityKeys({ database: pool, logger, secret, ...options })
  opened.push(keys)
  return keys
}

const kidsOf = (keys: IdentityKeys) => keys.jwks().keys.map(({ kid }) => kid)
const storedKids = async () =>
  (await database.sql<{ kid: string }>('select kid from identity_keys order by created_at desc, kid')).map(
    ({ kid }) => kid,
  )
/** Makes every stored key older, as time would. */
const pass = async (interval: string) => {
  await database.sql('update identity_keys set created_at = created_at - $1::interval', [interval])
}
const warnings = () => logLines.filter((line) => line.includes('"level":"warn"'))

/** The kid of the published key that what is signed now verifies with. */
async function verifiedBy(signer: IdentityKeys, verifier: IdentityKeys): Promise<string> {
  const { kid, key } = signer.signing()
  const token = await new CompactSign(Buffer.from('{}')).setProtectedHeader({ alg: 'EdDSA', kid }).sign(key)
  const { protectedHeader } = await compactVerify(
    token,
    async (header) =>
      await importJWK(verifier.jwks().keys.find((one) => one.kid === header.kid) ?? {}, 'EdDSA'),
    { algorithms: ['EdDSA'] },
  )
  return String(protectedHeader.kid)
}

describe('the first key', () => {
  it('is made by the first node, signs at once, and is published without its private part', async () => {
    const keys = await open()
    const { kid, key } = keys.signing()
    expect(keys.jwks()).toEqual({
      keys: [{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid, alg: 'EdDSA', use: 'sig' }],
    })
    expect(await verifiedBy(keys, keys)).toBe(kid)
    expect(key.extractable).toBe(false)
    expect(await storedKids()).toEqual([kid])
  })

  it('is one, however many nodes start at once', async () => {
    const pools = Array.from({ length: 6 }, () => connectDatabase({ url: database.url, setRole: false }))
    await Promise.all(pools.map((one) => one.rows('select 1')))
    try {
      const nodes = await Promise.all(pools.map((one) => open({ database: one })))
      const [kid] = await storedKids()
      expect(await storedKids()).toHaveLength(1)
      expect(nodes.map((keys) => keys.signing().kid)).toEqual(nodes.map(() => kid))
    } finally {
      for (const keys of opened.splice(0)) await keys.close()
      await Promise.all(pools.map((one) => one.close()))
    }
  })

  it('is taken up by nodes that start later', async () => {
    const [first, second] = [await open(), await open()]
    expect(second.signing().kid).toBe(first.signing().kid)
    expect(await verifiedBy(first, second)).toBe(first.signing().kid)
  })
})

describe('rotation', () => {
  it('a key is followed by a new one after a day, which is published at once and signs ten minutes later', async () => {
    const keys = await open()
    const old = keys.signing().kid
    await pass('23 hours 59 minutes')
    await keys.refresh()
    expect(kidsOf(keys)).toEqual([old])

    await pass('1 minute')
    await keys.refresh()
    const [made] = kidsOf(keys)
    expect(made).not.toBe(old)
    expect(kidsOf(keys)).toEqual([made, old])
    expect(keys.signing().kid).toBe(old)

    await pass('9 minutes 50 seconds')
    await keys.refresh()
    expect(keys.signing().kid).toBe(old)
    await pass('10 seconds')
    await keys.refresh()
    expect(keys.signing().kid).toBe(made)
    expect(kidsOf(keys)).toEqual([made, old])
  })

  it('a node that has not looked yet is understood by one that has, and the other way round', async () => {
    const [ahead, behind] = [await open(), await open()]
    await pass('24 hours')
    await ahead.refresh()
    expect(await verifiedBy(ahead, behind)).toBe(kidsOf(behind)[0])
    await behind.refresh()
    await pass('10 minutes')
    await ahead.refresh()
    expect(ahead.signing().kid).not.toBe(behind.signing().kid)
    expect(await verifiedBy(ahead, behind)).toBe(kidsOf(behind)[0])
    expect(await verifiedBy(behind, ahead)).toBe(kidsOf(ahead)[1])
  })

  it('of many nodes that find it is time, one makes the new key', async () => {
    const nodes = [await open(), await open(), await open(), await open()]
    await pass('25 hours')
    await Promise.all(nodes.map((keys) => keys.refresh()))
    const stored = await storedKids()
    expect(stored).toHaveLength(2)
    expect(nodes.map(kidsOf)).toEqual(nodes.map(() => stored))
  })

  it('a key goes two days after it was made', async () => {
    const keys = await open()
    const first = keys.signing().kid
    await pass('24 hours')
    await keys.refresh()
    await pass('23 hours 59 minutes')
    await keys.refresh()
    expect(kidsOf(keys)).toContain(first)
    await pass('2 minutes')
    await keys.refresh()
    expect(await storedKids()).not.toContain(first)
    expect(kidsOf(keys)).toEqual(await storedKids())
  })

  it('a key that is alone stays, however old, until its successor has long signed', async () => {
    const keys = await open()
    const old = keys.signing().kid
    await pass('30 days') // nothing ran meanwhile
    await keys.refresh()
    const [made] = kidsOf(keys)
    expect(kidsOf(keys)).toEqual([made, old])
    expect(keys.signing().kid).toBe(old)
    await pass('59 minutes')
    await keys.refresh()
    expect(keys.signing().kid).toBe(made)
    expect(kidsOf(keys)).toEqual([made, old])
    await pass('2 minutes')
    await keys.refresh()
    expect(kidsOf(keys)).toEqual([made])
    expect(await storedKids()).toEqual([made])
  })
})

describe('a key at rest', () => {
  const sealingKey = new Uint8Array(hkdfSync('sha256', secret, '', 'mandate-gateway identity keys', 32))

  it('is sealed with SECRET_KEY, and nothing of it or of the secrets is logged', async () => {
    const keys = await open({ previousSecret: nextSecret })
    await pass('25 hours')
    await keys.refresh()
    await withoutTable(database, 'identity_keys', () => keys.refresh())
    const rows = await database.sql<{ public_jwk: object; sealed_private_key: string }>(
      'select * from identity_keys',
    )
    expect(rows).toHaveLength(2)
    await open({ secret: 'of-somebody-who-lost-the-secret-0123456789' })
    expect(warnings().length).toBeGreaterThan(0)
    const logged = logLines.join('')
    for (const { public_jwk, sealed_private_key } of rows) {
      expect(Object.keys(public_jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
      const { plaintext, protectedHeader } = await compactDecrypt(sealed_private_key, sealingKey)
      expect(protectedHeader).toEqual({ alg: 'dir', enc: 'A256GCM' })
      const { d } = JSON.parse(Buffer.from(plaintext).toString()) as { d: string }
      expect(d).toHaveLength(43)
      for (const text of [d, sealed_private_key, secret, nextSecret]) expect(logged).not.toContain(text)
    }
  })

  it('sealed with the previous secret is used on, and its successor is sealed with the current one', async () => {
    const before = await open()
    const old = before.signing().kid
    const after = await open({ secret: nextSecret, previousSecret: secret })
    expect(after.signing().kid).toBe(old)
    expect(warnings()).toEqual([])
    await pass('25 hours')
    await after.refresh()
    const [made] = kidsOf(after)
    expect(kidsOf(await open({ secret: nextSecret }))).toEqual([made])
  })

  it('that no secret opens neither signs nor is published; a new one replaces it, with one warning', async () => {
    const lost = (await open()).signing().kid
    const keys = await open({ secret: nextSecret })
    const { kid } = keys.signing()
    expect(kid).not.toBe(lost)
    expect(kidsOf(keys)).toEqual([kid])
    expect(await verifiedBy(keys, keys)).toBe(kid)
    await keys.refresh()
    await keys.refresh()
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]).toContain(lost)
    expect(await storedKids()).toHaveLength(2)
  })

  it('that is damaged is left out, and the others go on', async () => {
    const keys = await open()
    const { kid } = keys.signing()
    await database.sql(
      `insert into identity_keys (kid, public_jwk, sealed_private_key, created_at)
        values ('rubbish', '{}', 'a.b.c', now() - interval '1 hour')`,
    )
    await keys.refresh()
    expect(kidsOf(keys)).toEqual([kid])
    expect(warnings()).toHaveLength(1)
  })

  it('by a writer of the database without the secret is not published', async () => {
    const keys = await open()
    const { kid } = keys.signing()
    await database.sql(
      `update identity_keys
        set public_jwk = jsonb_set(public_jwk, '{x}', '"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"')`,
    )
    await database.sql(
      `insert into identity_keys select 'another', public_jwk, sealed_private_key, created_at from identity_keys`,
    )
    const reader = await open()
    expect(kidsOf(reader)).toEqual([kid])
    expect(reader.jwks()).toEqual(keys.jwks())
  })
})

describe('without the database', () => {
  it('the present keys go on signing, and the fault is logged once', async () => {
    const keys = await open()
    const before = keys.jwks()
    await withoutTable(database, 'identity_keys', async () => {
      await keys.refresh()
      await keys.refresh()
      expect(keys.jwks()).toEqual(before)
      expect(await verifiedBy(keys, keys)).toBe(before.keys[0]?.kid)
    })
    expect(warnings()).toHaveLength(1)
    await keys.refresh()
    expect(logLines.at(-1)).toContain('can be read again')
  })

  it('a node starts, signs nothing, and has its key soon after the database is back', async () => {
    const keys = await withoutTable(database, 'identity_keys', async () => {
      const waiting = await open()
      expect(() => waiting.signing()).toThrow(expect.objectContaining({ code: 'directory_unavailable' }))
      expect(waiting.jwks()).toEqual({ keys: [] })
      return waiting
    })
    await until(() => Promise.resolve(kidsOf(keys)[0]))
    expect(kidsOf(keys)).toEqual(await storedKids())
  })

  it('the gateway’s role may read, add and remove rows of the table, and nothing else', async () => {
    await open()
    await expect(pool.run(`update identity_keys set created_at = now()`)).rejects.toMatchObject({
      code: 'directory_unavailable',
    })
    await pool.run('delete from identity_keys')
  })
})
