import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import bcrypt from 'bcrypt'
import { createTestDatabase, type TestDatabase } from './database.js'
import { signToken } from './demo.js'

/** The example of a product that moves in. */
export const movingIn = path.resolve(import.meta.dirname, '../../examples/moving-in')
export const mappingFile = path.join(movingIn, 'mapping.yaml')

/** A product's own database as it is before it moves, with two mandates and two people. */
export interface OldSide {
  database: TestDatabase
  ids: Record<'north' | 'south' | 'anna' | 'ben' | 'editor' | 'annaNorth' | 'benSouth', string>
  /** Makes a token of the old product, and its row. */
  token: (
    who: 'anna' | 'ben',
    claims?: Record<string, unknown>,
    expiresInSeconds?: number,
  ) => Promise<{ token: string; jti: string }>
  drop: () => Promise<void>
}

export const oldPasswords = { anna: 'anna knows this 1', ben: 'ben knows this 1' } as const
const names = { anna: 'Anna.Muster', ben: 'ben' } as const

/** Makes the old product's database: camelCase tables, bcrypt hashes, a username with capitals. */
export async function createOldSide(): Promise<OldSide> {
  const database = await createTestDatabase('template_empty')
  const { sql } = database
  await sql(await readFile(path.join(movingIn, 'old_schema.sql'), 'utf8'))
  const ids = {
    north: randomUUID(),
    south: randomUUID(),
    anna: randomUUID(),
    ben: randomUUID(),
    editor: randomUUID(),
    annaNorth: randomUUID(),
    benSouth: randomUUID(),
  }
  await sql("insert into \"Mandate\" (id, name) values ($1, 'North & Söhne'), ($2, 'South')", [
    ids.north,
    ids.south,
  ])
  await sql(
    `insert into "UserInDB" (id, username, email, "hashedPassword")
      values ($1, $2, 'anna@example.com', $3), ($4, $5, null, $6)`,
    [
      ids.anna,
      names.anna,
      (await bcrypt.hash(oldPasswords.anna, 5)).replace('$2b$', '$2y$'),
      ids.ben,
      names.ben,
      await bcrypt.hash(oldPasswords.ben, 5),
    ],
  )
  await sql('insert into "UserMandate" values ($1, $2, $3), ($4, $5, $6)', [
    ids.annaNorth,
    ids.anna,
    ids.north,
    ids.benSouth,
    ids.ben,
    ids.south,
  ])
  await sql('insert into "Role" values ($1, $2, \'editor\')', [ids.editor, ids.north])
  await sql("insert into \"AccessRule\" values ($1, $2, 'RESOURCE', 'crm', true, 'a', 'a', 'g', null)", [
    randomUUID(),
    ids.editor,
  ])
  await sql('insert into "UserMandateRole" values ($1, $2, $3)', [randomUUID(), ids.annaNorth, ids.editor])
  return {
    database,
    ids,
    token: async (who, claims = {}, expiresInSeconds = 86_400) => {
      const jti = randomUUID()
      const exp = Math.floor(Date.now() / 1000) + expiresInSeconds
      await sql(
        `insert into "Token" (id, "userId", authority, "tokenPurpose", status, "createdAt", "expiresAt")
          values ($1, $2, 'local', 'auth_session', 'active', $3, $4)`,
        [jti, ids[who], exp - 86_400.5, exp],
      )
      const token = await signToken('alice', jti, undefined, {
        header: { typ: 'JWT' },
        claims: { sub: names[who], userId: ids[who], iss: undefined, sid: null, exp, ...claims },
      })
      return { token, jti }
    },
    drop: () => database.drop(),
  }
}
