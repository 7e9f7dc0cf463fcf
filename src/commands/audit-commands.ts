import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { findLastCheckpoint, listSealedEvents } from '../audit/chain-queries.js'
import { checkpointKeys, checkpointSchema, type Checkpoint, type CheckpointKeys } from '../audit/checkpoint.js'
import { auditDirectories } from '../audit/directories.js'
import { readKnownCheckpoints } from '../audit/known-checkpoint.js'
import { verifyChain } from '../audit/verify-chain.js'
import { loadConfig, type Config } from '../config.js'
import { connectDatabase, type Sql } from '../database/connect.js'
import { withDevelopmentSecrets } from '../development-secrets.js'
import { exitCodes } from '../exit-codes.js'
import type { Said } from '../routes-command.js'
import { failed, said } from './said.js'
import { useDatabase } from './use-database.js'

interface Surroundings {
  sql: Sql
  keys: CheckpointKeys
  config: Config
}

async function withAudit(publicKeys: string[], work: (surroundings: Surroundings) => Promise<Said>): Promise<Said> {
  try {
    const { config } = await withDevelopmentSecrets(loadConfig())
    const keys = checkpointKeys({ secret: config.SECRET_KEY, previousSecret: config.SECRET_KEY_PREVIOUS, publicKeys })
    return await useDatabase(config, async ({ url, setRole }) => {
      const database = connectDatabase({ url, setRole, poolSize: 1 })
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
      return checkpointSchema.parse(typeof value === 'object' && value !== null && 'checkpoint' in value ? value.checkpoint : value)
    } catch {
      // It may be the other form.
    }
  }
  throw new Error(`${file} holds no checkpoint: make one with mandate-gateway audit checkpoint, or name an export`)
}

/** `audit verify`: whether the chain is what was sealed, and what checkpoints that were kept elsewhere say. */
export async function verifyAudit({ json, checkpoints: files, keys: publicKeys }: { json: boolean; checkpoints: string[]; keys: string[] }): Promise<Said> {
  return await withAudit(publicKeys, async ({ sql, keys, config }) => {
    const kept = await readKnownCheckpoints(auditDirectories(config.DATA_DIR).checkpoints)
    const named = await Promise.all(files.map(readCheckpoint))
    const found = await verifyChain({ sql, keys, checkpoints: [...named, ...kept.contradicted, ...(kept.last ? [kept.last] : [])] })
    const { events, signatures, erased, faults } = found
    const lines = faults.length > 0
      ? [...faults.map(({ message }) => message), `${faults.length} faults in ${events} events`]
      : [`${events} events are as they were sealed; ${signatures} signatures hold; ${erased} values about persons have been erased`]
    return said(faults.length > 0 ? exitCodes.no : exitCodes.ok, json, found, lines)
  })
}

/** `audit checkpoint`: the end of the chain, signed, to be kept elsewhere. */
export async function printCheckpoint(): Promise<Said> {
  return await withAudit([], async ({ sql }) => {
    const checkpoint = await findLastCheckpoint(sql)
    return checkpoint ? said(exitCodes.ok, true, checkpoint, []) : { exitCode: exitCodes.no, stdout: '', stderr: 'Nothing has been sealed yet.\n' }
  })
}

const pageSize = 1000

/** All that is sealed up to the last checkpoint, a line each, then the checkpoint. */
async function* exportLines(sql: Sql, checkpoint: Checkpoint): AsyncGenerator<string> {
  for (let position = 0; position < checkpoint.position;) {
    const page = (await listSealedEvents(sql, position, pageSize)).filter(({ seal }) => seal.position <= checkpoint.position)
    if (page.length === 0) break
    yield page.map(({ seal, event, personal }) => `${JSON.stringify({ ...seal, event, persons: Object.fromEntries(personal.map(({ field, value }) => [field, value])) })}\n`).join('')
    position = page.at(-1)?.seal.position ?? checkpoint.position
  }
  yield `${JSON.stringify({ checkpoint })}\n`
}

/** `audit export`: the sealed events in the order of the chain, as JSON lines to `out`; the last line is the checkpoint. */
export async function exportAudit({ out }: { out: string | undefined }): Promise<Said> {
  return await withAudit([], async ({ sql }) => {
    const checkpoint = await findLastCheckpoint(sql)
    if (!checkpoint) return { exitCode: exitCodes.no, stdout: '', stderr: 'Nothing has been sealed yet.\n' }
    const lines = Readable.from(exportLines(sql, checkpoint))
    if (out === undefined) await pipeline(lines, process.stdout as Writable, { end: false })
    else await pipeline(lines, createWriteStream(out, { mode: 0o600 }))
    return { exitCode: exitCodes.ok, stdout: '', stderr: `${checkpoint.position} events were exported\n` }
  })
}
