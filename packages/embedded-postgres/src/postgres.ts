import { access, constants, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { binariesAt, findBinaries, keepBinaries } from './binaries.js'
import { createCluster, findCluster, readPasswords, removeLeftovers, type Passwords } from './cluster.js'
import { keepRunning } from './keeper.js'
import type { Server } from './launch.js'
import { ensureDatabase } from './roles.js'
import { shutDown } from './server.js'
import { openSession } from './session.js'
import { chooseRunner, defaultStrategies, type RunStrategy } from './strategies.js'

export interface EmbeddedPostgres {
  /** superuser `postgres`, for migrations */
  ownerUrl: string
  /** login `gateway`, a member of `gateway_app` and nothing else */
  url: string
  /** resolves once the server has really exited; its clients are disconnected */
  stop(): Promise<void>
  /** tells the server to stop, without waiting: for a process that ends now */
  interrupt: () => void
}

export interface EmbeddedOptions {
  dataDir: string
  /** false trades safety in a power cut for speed: tests only */
  durable?: boolean
  log: (message: string) => void
  /** where it listens; any free port without */
  port?: number
  /**
   * the folder of an installed package with another Postgres; by default the one that npm installed beside
   * this one
   */
  binaries?: string
  /** how to run the server, in order of preference; the default suits the user and the platform */
  strategies?: readonly RunStrategy[]
}

/**
 * Starts the gateway's own Postgres below `dataDir` and keeps it running until `stop`. It takes over a server
 * that a killed gateway left behind. Rejects when another gateway uses the directory, and when Postgres
 * cannot run here at all.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { server, passwords } = await prepare(options)
  const link = await openSession(server, new AbortController().signal)
  try {
    await ensureDatabase(link.client, passwords.gateway)
  } catch (error) {
    await shutDown(server.cluster)
    throw error
  }
  const address = `127.0.0.1:${link.port}/gateway`
  return {
    ownerUrl: `postgres://postgres:${passwords.postgres}@${address}`,
    url: `postgres://gateway:${passwords.gateway}@${address}`,
    ...keepRunning({ ...server, port: link.port }, link, options.log),
  }
}

async function prepare(options: EmbeddedOptions): Promise<{ server: Server; passwords: Passwords }> {
  const { durable = true } = options
  const dataDir = path.resolve(options.dataDir)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw new Error(
      `${dataDir} belongs to another user: run the gateway as that user, or set DATA_DIR to a directory of your own`,
      { cause: error },
    )
  })
  const existing = await findCluster(dataDir)
  const found = options.binaries === undefined ? await findBinaries() : await binariesAt(options.binaries)
  const binaries = durable ? await keepBinaries(found, dataDir) : found
  const runner = await chooseRunner(
    options.strategies ?? defaultStrategies(existing),
    binaries,
    dataDir,
    existing,
  )
  const passwords = await readPasswords(dataDir, existing)

  await removeLeftovers(dataDir, runner.home)
  if (existing === undefined) await createCluster(runner, dataDir, passwords.postgres, durable)
  const cluster = existing ?? (await findCluster(dataDir))
  if (cluster === undefined) throw new Error(`${dataDir} has lost its Postgres cluster`)
  return {
    server: {
      cluster: cluster.directory,
      dataDir,
      runner,
      password: passwords.postgres,
      durable,
      ...(options.port === undefined ? {} : { port: options.port }),
    },
    passwords,
  }
}
