import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { dayMs, minuteMs } from '../domain/time.js'
import { archiveAudit, verifyArchive, type ArchiveVerification } from '../audit/archive.js'
import { findArchiveEnd } from '../audit/archive-queries.js'
import { genesis } from '../audit/chain.js'
import { findHashAt, findLastCheckpoint, listSealedEvents } from '../audit/chain-queries.js'
import {
  checkpointKeys,
  checkpointSchema,
  type Checkpoint,
  type CheckpointKeys,
} from '../audit/checkpoint.js'
import { auditDirectories } from '../audit/directories.js'
import { readKnownCheckpoints } from '../audit/known-checkpoint.js'
import { verifyChain, type ChainFault, type Verification } from '../audit/verify-chain.js'
import { loadConfig, type Config } from '../config.js'
import { connectDatabase, type Database, type Sql } from '../database/connect.js'
import { withDevelopmentSecrets } from '../process/development-secrets.js'
import { exitCodes } from '../domain/exit-codes.js'
import type { CommandResult } from './routes-command.js'
import { operatorActor } from './as-operator.js'
import { failed, said } from './command-result.js'
import { useDatabase } from './use-database.js'

interface Surroundings {
  sql: Database
  keys: CheckpointKeys
  config: Config
}

/** An archive may be large: its statements take longer than those of requests. */
const ownerTimeoutMs = 30 * minuteMs

async function withAudit(
  publicKeys: string[],
  work: (surroundings: Surroundings) => Promise<CommandResult>,
  asOwner = false,
): Promise<CommandResult> {
  try {
    const { config } = await withDevelopmentSecrets(loadConfig())
    const keys = checkpointKeys({
      secret: config.SECRET_KEY,
      previousSecret: config.SECRET_KEY_PREVIOUS,
      publicKeys,
    })
    return await useDatabase(config, async ({ url, ownerUrl, setRole }) => {
      const database = connectDatabase(
        asOwner
          ? { url: ownerUrl, setRole: false, poolSize: 1, timeoutMs: ownerTimeoutMs }
          : { url, setRole, poolSize: 1 },
      )
      try {
        return await work({ sql: database, keys, config })
      } finally {
        await database.close()
      }
    })
  } catch (error) {
    return failed(error)
  }
}

/** The checkpoint in a file: alone, or the last line of an export. */
async function readCheckpoint(file: string): Promise<Checkpoint> {
  const text = (await readFile(file, 'utf8')).trim()
  for (const candidate of [text, text.split('\n').at(-1) ?? '']) {
    try {
      const value = JSON.parse(candidate) as unknown
      return checkpointSchema.parse(
        typeof value === 'object' && value !== null && 'checkpoint' in value ? value.checkpoint : value,
      )
    } catch {
      // It may be the other form.
    }
  }
  throw new Error(
    `${file} holds no checkpoint: make one with mandate-gateway audit checkpoint, or name an export`,
  )
}

type Verified = Verification & { archived: number }

/** Archives and database as one chain: each must go on where the one before has ended. */
async function joined(
  sql: Sql,
  archives: ArchiveVerification[],
  inDatabase: Verification,
  begins: number,
): Promise<Verified> {
  const parts = archives.sort((a, b) => a.after.position - b.after.position)
  const gaps: ChainFault[] = []
  const gap = (position: number, message: string) => gaps.push({ kind: 'gap', position, seq: null, message })
  let end = { position: 0, hash: genesis }
  for (const { file, after, end: own } of parts) {
    if (after.position > end.position)
      gap(end.position + 1, `${file} begins behind ${after.position}: the archive before it is missing`)
    else if (after.position === end.position && after.hash !== end.hash)
      gap(after.position, `${file} does not go on where the one before has ended`)
    if (own.position > end.position) end = own
  }
  if (parts.length > 0 && end.position < begins)
    gap(end.position + 1, `the archives end at ${end.position}, and the database begins behind ${begins}`)
  if (parts.length > 0 && end.position >= begins && (await findHashAt(sql, end.position)) !== end.hash)
    gap(end.position, `the database does not go on where the archives end, at ${end.position}`)
  const sum = (name: 'events' | 'signatures' | 'erased') =>
    [...parts, inDatabase].reduce((total, one) => total + one[name], 0)
  const faults = [
    ...parts.flatMap((one) =>
      one.faults.map((fault) => ({ ...fault, message: `${one.file}: ${fault.message}` })),
    ),
    ...gaps,
    ...inDatabase.faults,
  ]
  return {
    events: sum('events'),
    position: inDatabase.position,
    signatures: sum('signatures'),
    erased: sum('erased'),
    faults,
    archived: parts.length > 0 ? 0 : begins,
  }
}

/**
 * `audit verify`: whether the chain is what was sealed, and what checkpoints that were kept elsewhere say.
 */
export async function verifyAudit({
  json,
  checkpoints: files,
  archives: archiveFiles,
  keys: publicKeys,
}: {
  json: boolean
  checkpoints: string[]
  archives: string[]
  keys: string[]
}): Promise<CommandResult> {
  return await withAudit(publicKeys, async ({ sql, keys, config }) => {
    const kept = await readKnownCheckpoints(auditDirectories(config.DATA_DIR).checkpoints)
    const named = await Promise.all(files.map(readCheckpoint))
    const begins = (await findArchiveEnd(sql))?.position ?? 0
    const own = [...kept.contradicted, ...(kept.last ? [kept.last] : [])].filter(
      ({ position }) => archiveFiles.length > 0 || position >= begins,
    )
    const archives = await Promise.all(
      archiveFiles.map((file) =>
        verifyArchive(
          file,
          keys,
          [...named, ...own].map(({ position }) => position),
        ),
      ),
    )
    const inDatabase = await verifyChain({
      sql,
      keys,
      checkpoints: [...named, ...own],
      archived: new Map(archives.flatMap(({ hashes }) => [...hashes])),
    })
    const found = await joined(sql, archives, inDatabase, begins)
    const { events, signatures, erased, faults, archived } = found
    const lines =
      faults.length > 0
        ? [...faults.map(({ message }) => message), `${faults.length} faults in ${events} events`]
        : [
            `${events} events are as they were sealed; ${signatures} signatures hold; ${erased} values about persons have been erased`,
            ...(archived > 0
              ? [
                  `The first ${archived} events are in archives that were not looked at: name them with --archive.`,
                ]
              : []),
          ]
    return said(faults.length > 0 ? exitCodes.no : exitCodes.ok, json, found, lines)
  })
}

/** `audit checkpoint`: the end of the chain, signed, to be kept elsewhere. */
export async function printCheckpoint(): Promise<CommandResult> {
  return await withAudit([], async ({ sql }) => {
    const checkpoint = await findLastCheckpoint(sql)
    return checkpoint
      ? said(exitCodes.ok, true, checkpoint, [])
      : { exitCode: exitCodes.no, stdout: '', stderr: 'Nothing has been sealed yet.\n' }
  })
}

const pageSize = 1000

/** All that is sealed up to the last checkpoint, a line each, then the checkpoint. */
async function* exportLines(sql: Sql, checkpoint: Checkpoint): AsyncGenerator<string> {
  for (let position = (await findArchiveEnd(sql))?.position ?? 0; position < checkpoint.position;) {
    const page = (await listSealedEvents(sql, position, pageSize)).filter(
      ({ seal }) => seal.position <= checkpoint.position,
    )
    if (page.length === 0) break
    yield page
      .map(
        ({ seal, event, personal }) =>
          `${JSON.stringify({ ...seal, event, persons: Object.fromEntries(personal.map(({ field, value }) => [field, value])) })}\n`,
      )
      .join('')
    position = page.at(-1)?.seal.position ?? checkpoint.position
  }
  yield `${JSON.stringify({ checkpoint })}\n`
}

/**
 * `audit export`: the sealed events in the order of the chain, as JSON lines to `out`; the last line is the
 * checkpoint.
 */
export async function exportAudit({ out }: { out: string | undefined }): Promise<CommandResult> {
  return await withAudit([], async ({ sql }) => {
    const checkpoint = await findLastCheckpoint(sql)
    if (!checkpoint) return { exitCode: exitCodes.no, stdout: '', stderr: 'Nothing has been sealed yet.\n' }
    const lines = Readable.from(exportLines(sql, checkpoint))
    if (out === undefined) await pipeline(lines, process.stdout as Writable, { end: false })
    else await pipeline(lines, createWriteStream(out, { mode: 0o600 }))
    return { exitCode: exitCodes.ok, stdout: '', stderr: `${checkpoint.position} events were exported\n` }
  })
}

/** `audit archive`: moves what was sealed before a day into a file, and out of the database. */
export async function archive({
  before,
  to,
  json,
}: {
  before: Date | undefined
  to: string | undefined
  json: boolean
}): Promise<CommandResult> {
  return await withAudit(
    [],
    async ({ sql, keys, config }) => {
      const days = config.AUDIT_RETENTION_DAYS
      const until = before ?? (days === undefined ? undefined : new Date(Date.now() - days * dayMs))
      if (until === undefined)
        throw new Error('Say from when on events are kept: with --before, or AUDIT_RETENTION_DAYS')
      const made = await archiveAudit({
        database: sql,
        keys,
        before: until,
        actor: operatorActor(),
        fileFor: (after, end) =>
          to ?? path.join(auditDirectories(config.DATA_DIR).checkpoints, `archive-${after + 1}-${end}.jsonl`),
      })
      if (!made)
        return said(exitCodes.ok, json, { archived: 0 }, [
          `Nothing was sealed before ${until.toISOString()}.`,
        ])
      return said(exitCodes.ok, json, { archived: made.events, ...made }, [
        `${made.events} events are in ${made.file} (SHA-256 ${made.digest}), and no more in the database.`,
      ])
    },
    true,
  )
}
