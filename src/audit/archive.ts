import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { Database, Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { deleteArchived, findArchivable, findArchiveEnd } from './archive-queries.js'
import { genesis } from './chain.js'
import { listSealedEvents, type SealedEvent } from './chain-queries.js'
import { checkpointSchema, type ArchiveRecord, type CheckpointKeys } from './checkpoint.js'
import { recordChange, type Actor } from './record-change.js'
import { Verifier, type Verification } from './verify-chain.js'

const pageSize = 1000

const text = z.string()
const lineSchema = z.strictObject({
  seal: z.strictObject({ position: z.int(), seq: text, content: text, hash: text }),
  checkpoint: checkpointSchema.nullable(),
  event: z.strictObject({
    seq: text,
    id: text,
    occurredAt: text,
    userId: text.nullable(),
    mandateId: text.nullable(),
    action: text,
    requestId: text.nullable(),
    details: text,
    personal: text,
  }),
  personal: z.array(z.strictObject({ field: text, salt: text, value: text })),
})
const beginning = z.strictObject({ after: z.strictObject({ position: z.int().min(0), hash: text }) })

/** A position in the chain, with its hash. */
interface Place {
  position: number
  hash: string
}

/** The contents of an archive's file, and whether they are as they were sealed. */
export interface ArchiveVerification extends Verification {
  file: string
  after: Place
  end: Place
  /** The hashes at the positions that were asked for. */
  hashes: Map<number, string>
  digest: string
  /** How many values about persons it holds. */
  values: number
}

/** Verifies an archive. Rejects for a file that is not one. */
export async function verifyArchive(
  file: string,
  keys: CheckpointKeys,
  asked: readonly number[] = [],
): Promise<ArchiveVerification> {
  const hash = createHash('sha256')
  const hashes = new Map<number, string>()
  let verifier: Verifier | undefined
  let after: Place | undefined
  let end: Place | undefined
  let values = 0
  try {
    for await (const line of createInterface({
      input: createReadStream(file, 'utf8'),
      crlfDelay: Infinity,
    })) {
      hash.update(`${line}\n`)
      if (!verifier || !after) {
        ;({ after } = beginning.parse(JSON.parse(line)))
        verifier = new Verifier(after.position, after.hash, keys)
        continue
      }
      const sealed = lineSchema.parse(JSON.parse(line))
      verifier.check(sealed)
      values += sealed.personal.length
      end = { position: sealed.seal.position, hash: sealed.seal.hash }
      if (asked.includes(end.position)) hashes.set(end.position, end.hash)
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    throw new Error(
      `${file} is no archive of the audit, or has been cut or changed: ` +
        (error instanceof z.ZodError ? 'a line is not as it was written' : reason),
      { cause: error },
    )
  }
  if (!verifier || !after || !end) throw new Error(`${file} is no archive of the audit: it is empty`)
  verifier.finish()
  const { events, position, signatures, erased, faults } = verifier
  return {
    file,
    after,
    end,
    hashes,
    digest: hash.digest('hex'),
    values,
    events,
    position,
    signatures,
    erased,
    faults,
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const written = ({ seal, checkpoint, event, personal }: SealedEvent) =>
  JSON.stringify({
    seal,
    checkpoint,
    personal,
    event: event && {
      seq: event.seq,
      id: event.id,
      occurredAt: event.occurredAt,
      userId: event.userId,
      mandateId: event.mandateId,
      action: event.action,
      requestId: event.requestId,
      details: event.details,
      personal: event.personal,
    },
  })

/**
 * Writes the links after `after` up to `end` into a file. The file is complete and synced when it gets its
 * name. The name must be new.
 */
async function writeFile(sql: Sql, file: string, after: Place, end: Place): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const part = `${file}.${randomUUID()}.part`
  const handle = await open(part, 'wx', 0o600)
  try {
    await handle.write(`${JSON.stringify({ after })}\n`)
    for (let { position } = after; position < end.position;) {
      const page = (await listSealedEvents(sql, position, pageSize)).filter(
        ({ seal }) => seal.position <= end.position,
      )
      const last = page.at(-1)
      if (!last)
        throw new Error(`the chain ends before ${end.position}: mandate-gateway audit verify says more`)
      await handle.write(page.map((one) => `${written(one)}\n`).join(''))
      position = last.seal.position
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(part, file) // unlike a rename it replaces nothing
  } finally {
    await rm(part)
  }
  await sync(path.dirname(file))
}

interface Options {
  /** The database as the owner of the tables: the login of requests may delete nothing. */
  database: Database
  keys: CheckpointKeys
  before: Date
  /** Returns the file's name. */
  fileFor: (after: number, end: number) => string
  actor: Actor
  /** Runs after the file is durable and before the rows are deleted. */
  beforeRemoval?: () => Promise<void>
}

/**
 * Moves what was sealed before a moment into a file. The file is synced, read again and verified before
 * anything is deleted. Then everything is deleted in one transaction, with the signed record of where the
 * chain goes on. Returns undefined when there is nothing that old.
 */
export async function archiveAudit({
  database,
  keys,
  before,
  fileFor,
  actor,
  beforeRemoval,
}: Options): Promise<(ArchiveRecord & { file: string; events: number }) | undefined> {
  const end = await findArchivable(database, before)
  if (!end) return undefined
  const { position, hash } = (await findArchiveEnd(database)) ?? { position: 0, hash: genesis }
  const file = fileFor(position, end.position)
  await writeFile(database, file, { position, hash }, end)
  const found = await verifyArchive(file, keys)
  const [fault] = found.faults
  if (fault || found.end.hash !== end.hash)
    throw new Error(
      `Nothing was removed: ${fault?.message ?? 'the file does not end where it should'}. ${file} stays as proof.`,
    )
  await beforeRemoval?.()
  const record = keys.signArchive({ ...end, digest: found.digest, archivedAt: new Date().toISOString() })
  await database.transaction(async (tx) => {
    const removed = await deleteArchived(tx, record, found.events)
    if (removed.events !== found.events || removed.personal !== found.values) {
      throw new GatewayError(
        'conflict',
        'Nothing was removed: what is in the database has changed since it was written to ' +
          `${file}. Remove that file, and archive again.`,
      )
    }
    await recordChange(tx, {
      actor,
      mandateId: 'system',
      action: 'audit_archived',
      subject: 'audit',
      after: { position: end.position, hash: end.hash, events: found.events, digest: found.digest },
    })
  })
  return { ...record, file, events: found.events }
}
