import { readFile } from 'node:fs/promises'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '#embedded-postgres'
import type { TestDatabase } from '../../support/database.js'
import { makeDataDir } from '../../support/gateway-process.js'

/** A durable Postgres of a test's own, that may be killed: it is started again on the same port. */
export interface OwnPostgres {
  database: TestDatabase
  /** SIGKILL to the postmaster. */
  kill: () => Promise<void>
  /** SIGINT to the postmaster: it ends all sessions, stops, and is started again. */
  restart: () => Promise<void>
  /**
   * SIGKILL to one of its processes, as the kernel does when memory runs out: the postmaster restarts its
   * memory and stays.
   */
  killBackend: () => Promise<void>
}

/** Starts a Postgres with fsync on. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = await makeDataDir()
  const postgres = await startEmbeddedPostgres({ dataDir, durable: true, log: () => undefined })
  const owner = new pg.Pool({ connectionString: postgres.ownerUrl, max: 4 })
  owner.on('error', () => undefined)
  const signal = async (name: 'SIGKILL' | 'SIGINT') => {
    process.kill(
      Number.parseInt(await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8'), 10),
      name,
    )
  }
  const sql = async <Row>(statement: string, values: unknown[] = []) =>
    (await owner.query(statement, values)).rows as Row[]
  return {
    database: {
      url: postgres.url,
      ownerUrl: postgres.ownerUrl,
      sql,
      drop: async () => {
        await owner.end()
        await postgres.stop()
      },
    },
    kill: () => signal('SIGKILL'),
    restart: () => signal('SIGINT'),
    killBackend: async () => {
      const victim = new pg.Client(postgres.ownerUrl)
      victim.on('error', () => undefined)
      await victim.connect()
      const {
        rows: [row],
      } = await victim.query<{ pid: number }>('select pg_backend_pid() as pid')
      process.kill(row!.pid, 'SIGKILL')
      await victim.end().catch(() => undefined)
    },
  }
}
