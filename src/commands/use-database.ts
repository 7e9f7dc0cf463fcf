import { findCluster, readPasswords, sightPostmaster, startEmbeddedPostgres } from '#embedded-postgres'
import type { Config } from '../config.js'
import { inOperatorsWords } from '../database/wait.js'

/** The logins of the database that the configuration means. */
export interface Logins {
  ownerUrl: string
  url: string
  /** True when `url` is the owner's. */
  setRole: boolean
}

/**
 * Runs `work` on the configured database: one's own, the embedded one of a gateway that runs, or else the
 * embedded one, started for as long.
 */
export async function useDatabase<Result>(
  { DATABASE_URL, DATABASE_MIGRATION_URL, DATA_DIR }: Config,
  work: (logins: Logins) => Promise<Result>,
): Promise<Result> {
  if (DATABASE_URL !== undefined) {
    try {
      return await work({
        url: DATABASE_URL,
        ownerUrl: DATABASE_MIGRATION_URL ?? DATABASE_URL,
        setRole: DATABASE_MIGRATION_URL === undefined,
      })
    } catch (error) {
      throw inOperatorsWords(error)
    }
  }
  const cluster = await findCluster(DATA_DIR)
  const sighting = cluster && (await sightPostmaster(cluster.directory))
  if (sighting?.state === 'running') {
    const passwords = await readPasswords(DATA_DIR, cluster)
    const login = (name: string, password: string) =>
      `postgres://${name}:${password}@127.0.0.1:${sighting.port}/gateway`
    return await work({
      url: login('gateway', passwords.gateway),
      ownerUrl: login('postgres', passwords.postgres),
      setRole: false,
    })
  }
  const postgres = await startEmbeddedPostgres({ dataDir: DATA_DIR, log: () => undefined })
  try {
    return await work({ url: postgres.url, ownerUrl: postgres.ownerUrl, setRole: false })
  } finally {
    await postgres.stop()
  }
}
