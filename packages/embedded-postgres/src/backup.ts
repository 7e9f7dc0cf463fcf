import { chown, copyFile, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import pg from 'pg'
import { hasCode } from './errors.js'
import { flushToDisk, unlessMissing } from './files.js'
import type { ExistingCluster } from './strategies.js'

/** Folders that Postgres creates again when it starts from a backup, or that belong to the running server. */
const emptied = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
])
const left = /^(?:postmaster\.(?:pid|opts)|backup_label(?:\.old)?|pgsql_tmp.*|pg_internal\.init.*)$/

/** The launcher's file beside the cluster. Without it nobody can log in. */
const passwordsFile = 'postgres-passwords.json'

async function copyTree(from: string, to: string, owner: number, isTop = false): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  if (owner !== process.getuid?.()) await chown(to, owner, owner)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (left.test(entry.name)) continue
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)]
    if (entry.isDirectory())
      await (isTop && emptied.has(entry.name) ? makeEmpty(target, owner) : copyTree(source, target, owner))
    else if (entry.isFile()) await copyOne(source, target, owner)
  }
}

async function makeEmpty(directory: string, owner: number): Promise<void> {
  for (const one of path.basename(directory) === 'pg_wal'
    ? [directory, path.join(directory, 'archive_status')]
    : [directory]) {
    await mkdir(one, { mode: 0o700 })
    if (owner !== process.getuid?.()) await chown(one, owner, owner)
  }
}

/** A file may disappear while it is copied. The log has what was done to it. */
async function copyOne(source: string, target: string, owner: number): Promise<void> {
  await unlessMissing(
    copyFile(source, target).then(async () => {
      if (owner !== process.getuid?.()) await chown(target, owner, owner)
      await flushToDisk(target)
    }),
  )
}

/** What to copy, and where to. */
export interface BackupOptions {
  ownerUrl: string
  dataDir: string
  cluster: ExistingCluster
  /** the new directory, which must not exist yet */
  to: string
  /** further files and folders of the data directory that belong to the backup, by name */
  beside?: readonly string[]
}

async function copyCluster({ ownerUrl, cluster, to }: BackupOptions): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'mandate-gateway backup' })
  await client.connect()
  try {
    // Everything that is logged from now on is kept as long as this connection lives.
    await client.query(`select pg_create_physical_replication_slot('gateway_backup', true, true)`)
    await client.query(`select pg_backup_start('mandate-gateway', true)`)
    const copy = path.join(to, 'postgres')
    await copyTree(cluster.directory, copy, cluster.owner, true)
    const {
      rows: [stopped],
    } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    if (!stopped) throw new Error('the backup was not ended')
    for (const name of await readdir(path.join(cluster.directory, 'pg_wal'))) {
      if (/^[0-9A-F]{24}$|^[0-9A-F]{8}\.history$/.test(name))
        await copyOne(
          path.join(cluster.directory, 'pg_wal', name),
          path.join(copy, 'pg_wal', name),
          cluster.owner,
        )
    }
    await writeFile(path.join(copy, 'backup_label'), stopped.labelfile, { mode: 0o600, flush: true })
    if (cluster.owner !== process.getuid?.())
      await chown(path.join(copy, 'backup_label'), cluster.owner, cluster.owner)
  } finally {
    await client.end()
  }
}

/**
 * Copies a data directory, with its running embedded database, to a new directory from which a gateway can
 * start. Rejects, and leaves nothing there, when it cannot.
 */
export async function backUp(options: BackupOptions): Promise<void> {
  const { dataDir, to, beside = [] } = options
  try {
    await mkdir(to, { mode: 0o700 })
  } catch (error) {
    throw hasCode(error, 'EEXIST')
      ? new Error(`${to} is there already: name a directory that is not there yet`)
      : error
  }
  try {
    await copyCluster(options)
    for (const name of [passwordsFile, ...beside])
      await unlessMissing(
        cp(path.join(dataDir, name), path.join(to, name), { recursive: true, preserveTimestamps: true }),
      )
  } catch (error) {
    await rm(to, { recursive: true, force: true })
    throw error
  }
}
