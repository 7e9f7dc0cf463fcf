import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { connectDatabase } from '../../src/database/connect.js'
import { withMigrator } from '../../src/database/migrate.js'
import { startEmbeddedPostgres } from '#embedded-postgres'
import { createTestDatabase } from '../support/database.js'
import { users } from '../support/demo.js'

describe('the database of requests', () => {
  it('is never a standby, which may not know yet of what has been revoked', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'standby-'))
    const start = () => startEmbeddedPostgres({ dataDir, durable: false, log: () => undefined })
    try {
      const primary = await start()
      await withMigrator(primary.ownerUrl, (migrator) => migrator.up())
      const writable = connectDatabase({ url: primary.url, setRole: false })
      expect(await writable.rows('select 1 as one')).toEqual([{ one: 1 }])
      await writable.close()
      await primary.stop()

      await writeFile(path.join(dataDir, 'postgres/standby.signal'), '')
      const standby = await start()
      const refused = connectDatabase({ url: standby.url, setRole: false })
      try {
        await expect(refused.rows('select 1 as one')).rejects.toMatchObject({
          code: 'directory_unavailable',
          cause: { message: expect.stringContaining('is a standby') },
        })
      } finally {
        await refused.close()
        await standby.stop()
      }
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  }, 60_000)

  it('can be written again by the same pool when it has been read-only', async () => {
    const database = await createTestDatabase()
    const [{ name }] = (await database.sql<{ name: string }>('select current_database() as name')) as [
      { name: string },
    ]
    const setReadOnly = (value: 'on' | 'off') =>
      database.sql(`alter database ${name} set default_transaction_read_only = ${value}`)
    await setReadOnly('on')
    const pool = connectDatabase({ url: database.url, setRole: false, poolSize: 1 })
    const write = () => pool.run('update users set full_name = full_name where id = ?', [users.alice])
    try {
      await expect(write()).rejects.toMatchObject({ code: 'directory_unavailable' })
      await database.sql('set default_transaction_read_only = off')
      await setReadOnly('off')
      expect(await write()).toBe(1)
    } finally {
      await pool.close()
      await database.drop()
    }
  })
})
