import type { Database } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import type { AuditLog } from './audit-log.js'
import { findArchiveEnd } from './archive-queries.js'
import { sealEvents } from './chain.js'
import {
  findHashAt,
  findLastCheckpoint,
  findLastSeal,
  insertSeals,
  listUnsealedEvents,
  tryToSeal,
  type LastSeal,
} from './chain-queries.js'
import type { Checkpoint, CheckpointKeys } from './checkpoint.js'
import { keepCheckpoint, readKnownCheckpoints } from './known-checkpoint.js'

/** Seals events into the chain while the process runs. */
export interface Sealer {
  /** Seals all that is ready now, unless another node does. Rejects when the database cannot be asked. */
  seal: () => Promise<void>
  close: () => Promise<void>
}

interface Dependencies {
  database: Database
  logger: Logger
  keys: CheckpointKeys
  audit: Pick<AuditLog, 'record'>
  /** The directory of the last checkpoint, outside the database. */
  directory: string
  everyMs?: number
}

const batchSize = 1000
const keepEveryMs = 10_000

/** Watches the chain: it keeps the last checkpoint, and reports a chain that contradicts it. */
function chainWatch({ logger, audit, directory }: Pick<Dependencies, 'logger' | 'audit' | 'directory'>) {
  let known: Checkpoint | undefined
  let keptAt = -Infinity
  let told: string | undefined

  const alarm = (reason: string, details: object) => {
    if (told === reason) return
    told = reason
    logger.error(`the audit's chain is broken: ${reason}`, details)
    audit.record({
      userId: null,
      mandateId: 'system',
      action: 'audit_chain_broken',
      details: { reason, ...details },
      requestId: null,
    })
  }
  const keep = (checkpoint: Checkpoint, contradicted = false) =>
    keepCheckpoint(directory, checkpoint, contradicted).catch((error: unknown) =>
      logger.warn('the last checkpoint of the audit cannot be kept on disk', { directory, error }),
    )

  return {
    alarm,
    load: async () => {
      try {
        known = (await readKnownCheckpoints(directory)).last
      } catch (error) {
        logger.warn('the checkpoint kept on disk cannot be read', { directory, error })
      }
    },
    /** Compares the known checkpoint with the chain in the database. */
    compare: async (
      hashAt: (position: number) => Promise<string | undefined>,
      isArchived: (position: number) => Promise<boolean>,
    ) => {
      if (!known) return
      const found = await hashAt(known.position)
      if (found === known.hash) return
      if (found === undefined && (await isArchived(known.position))) {
        known = undefined // `audit verify --archive` compares it
        return
      }
      alarm(found === undefined ? 'it is shorter than it was' : 'it has been rewritten', {
        position: known.position,
        expected: known.hash,
        found: found ?? null,
      })
      await keep(known, true)
      known = undefined
    },
    learn: async (checkpoint: Checkpoint, atOnce = false) => {
      if (known?.hash === checkpoint.hash && !atOnce) return
      known = checkpoint
      if (!atOnce && performance.now() - keptAt < keepEveryMs) return
      keptAt = performance.now()
      await keep(checkpoint)
    },
    known: () => known,
  }
}

/** Returns why the chain cannot be continued: its last link must be signed, or its author is unknown. */
function whyNotContinued(
  last: LastSeal | undefined,
  signed: Checkpoint | undefined,
  keys: CheckpointKeys,
): string | undefined {
  if (!last && !signed) return undefined
  if (last?.position !== signed?.position || !signed) return 'its end is not signed'
  if (keys.isTrusted(signed.signedBy) && !keys.isSigned(signed)) return 'the signature at its end is wrong'
  return undefined
}

/** Starts the sealer. One node seals at a time; all nodes watch that the chain stays the same. */
export function startSealer({
  database,
  logger,
  keys,
  audit,
  directory,
  everyMs = 1000,
}: Dependencies): Sealer {
  const watch = chainWatch({ logger, audit, directory })
  let loaded: Promise<void> | undefined
  let failing = false
  let isClosed = false

  /** Seals one batch. Returns whether there may be more. */
  const sealBatch = () =>
    database.transaction(async (tx) => {
      if (!(await tryToSeal(tx))) return { more: false }
      const [last, signed] = [await findLastSeal(tx), await findLastCheckpoint(tx)]
      const refusal = whyNotContinued(last, signed, keys)
      if (refusal !== undefined) {
        watch.alarm(`${refusal}; nothing more is sealed`, { position: last?.position ?? 0 })
        return { more: false }
      }
      const { events, horizon } = await listUnsealedEvents(tx, last, batchSize)
      const seals = sealEvents(last, events)
      const end = seals.at(-1)
      if (!end) return { more: false }
      const checkpoint = keys.sign({
        position: end.position,
        hash: end.hash,
        sealedAt: new Date().toISOString(),
      })
      await insertSeals(tx, seals, horizon, checkpoint)
      return { more: events.length === batchSize, checkpoint }
    })

  /** A missing link is explained only by the signed record of an archive. */
  const isArchived = async (position: number) => {
    const end = await findArchiveEnd(database)
    return end !== undefined && position < end.position && keys.isArchiveSigned(end)
  }

  const seal = async () => {
    await (loaded ??= watch.load())
    const last = await findLastSeal(database)
    if (last?.hash !== watch.known()?.hash)
      await watch.compare((position) => findHashAt(database, position), isArchived)
    if ((await listUnsealedEvents(database, last, 1)).events.length === 0) return
    for (let more = true; more;) {
      const sealed = await sealBatch()
      if (sealed.checkpoint) await watch.learn(sealed.checkpoint)
      more = sealed.more
    }
    const checkpoint = await findLastCheckpoint(database)
    if (checkpoint) await watch.learn(checkpoint)
  }

  let running = Promise.resolve()
  const round = async () => {
    try {
      await seal()
      failing = false
    } catch (error) {
      if (!failing) logger.warn('the audit cannot be sealed; it is tried again', { error })
      failing = true
    }
  }
  let timer: NodeJS.Timeout | undefined
  const later = () => {
    if (isClosed) return
    timer = setTimeout(() => {
      running = round().then(later)
    }, everyMs)
    timer.unref()
  }
  later()

  return {
    seal,
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await running
      if (!failing) await round()
      const known = watch.known()
      if (known) await watch.learn(known, true)
    },
  }
}
