import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from './launch.js'
import { lockName, reachServer, shutDown, type Link } from './server.js'

const lockKey = 0x6d61_6e64 // "mand"
const lockMs = 2000
const pollMs = 50
const maxAttempts = 5

/** Another gateway holds this data directory. */
export class DirectoryInUse extends Error {}

/** A connection that holds the directory's lock, which goes with the process however it ends. */
export async function openSession(server: Server, signal: AbortSignal): Promise<Link> {
  for (let attempt = 1; ; attempt++) {
    const link = await reachServer(server, signal)
    const outcome = await takeOver(link, server, signal).catch(async (error: unknown) => {
      // The server may be going away, as when its last gateway is just stopping it.
      const gone = await Promise.race([link.closed.then(() => true), sleep(pollMs, false)])
      if (!gone || attempt === maxAttempts || signal.aborted) return { error }
      return 'again' as const
    })
    if (outcome === 'taken') return link
    const holder = outcome === 'refused' ? await holderOf(link) : undefined
    await link.client.end().catch(() => undefined)
    if (outcome === 'refused') {
      throw new DirectoryInUse(
        `another gateway already runs on the data directory ${server.dataDir}: ` +
          'stop it, or give this one a directory of its own with DATA_DIR (or a database with DATABASE_URL)' +
          (holder ?? ''),
      )
    }
    if (outcome !== 'again') throw outcome.error
  }
}

/**
 * Returns a sentence with the process id of the gateway that holds the lock; empty where it cannot be found
 * out.
 */
async function holderOf({ client }: Link): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ name: string }>(
    `
    select a.application_name as name
      from pg_locks l
      join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.granted and l.objid = $1`,
    [lockKey],
  )
  const pid = row?.name.startsWith(lockName) ? Number(row.name.slice(lockName.length)) : Number.NaN
  return Number.isInteger(pid) ? `. Its process id is ${pid}.` : ''
}

async function takeOver(
  link: Link,
  server: Server,
  signal: AbortSignal,
): Promise<'taken' | 'refused' | 'again'> {
  if (!(await takeLock(link, signal))) return 'refused'
  const { rows } = await link.client.query<{ fsync: string }>('show fsync')
  if ((rows[0]?.fsync === 'on') === server.durable) return 'taken'
  await shutDown(server.cluster) // a killed gateway ran it with other settings
  return 'again'
}

/** The connection of a gateway killed a moment ago may still be there, so one refusal is not enough. */
async function takeLock({ client }: Link, signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + lockMs; ;) {
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [
      lockKey,
    ])
    if (rows[0]?.held) return true
    signal.throwIfAborted()
    if (Date.now() > deadline) return false
    await sleep(pollMs)
  }
}
