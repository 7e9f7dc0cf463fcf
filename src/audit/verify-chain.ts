import type { Sql } from '../database/connect.js'
import { countBehindArchive, findArchiveEnd } from './archive-queries.js'
import { contentOf, genesis, linkOf } from './chain.js'
import { findHashAt, listSealedEvents, listSkippedEvents, type SealedEvent } from './chain-queries.js'
import type { Checkpoint, CheckpointKeys } from './checkpoint.js'
import { hashPersonal } from './personal.js'

/** One difference from what was sealed. */
export interface ChainFault {
  kind:
    | 'edited'
    | 'deleted'
    | 'reordered'
    | 'gap'
    | 'cut'
    | 'rewritten'
    | 'not_signed'
    | 'signature_wrong'
    | 'not_sealed'
    | 'personal_edited'
    | 'archived'
  position: number | null
  /** The event's `seq`. */
  seq: string | null
  message: string
}

/** What was verified, and what was found. */
export interface Verification {
  /** Number of events whose seals were verified. */
  events: number
  /** The position of the last link that was verified. */
  position: number
  /** Number of signatures that hold. */
  signatures: number
  /** Number of values about persons that have been erased. */
  erased: number
  faults: ChainFault[]
}

interface Options {
  sql: Sql
  keys: CheckpointKeys
  /** Begins after this position, whose hash is trusted. The default is the beginning. */
  after?: number
  /** Also searches for events that are in no link. The default is true when verifying from the beginning. */
  whole?: boolean
  /** Checkpoints that were kept elsewhere. */
  checkpoints?: Checkpoint[]
  /** Hashes of links in verified archives. */
  archived?: ReadonlyMap<number, string>
  /** Stops after this many faults. */
  maxFaults?: number
}

const pageSize = 1000
const scanSize = 10_000

/** Verifies links, one after the other. */
export class Verifier implements Verification {
  events = 0
  signatures = 0
  erased = 0
  readonly faults: ChainFault[] = []
  private signedUpTo = 0

  constructor(
    public position: number,
    private hash: string,
    private readonly keys: CheckpointKeys,
  ) {}

  fault(kind: ChainFault['kind'], position: number | null, seq: string | null, message: string): void {
    this.faults.push({ kind, position, seq, message })
  }

  /**
   * Verifies the next link. It goes on from the hash that is stored there, so that one fault is reported
   * once.
   */
  check({ seal, event, personal, checkpoint }: SealedEvent): void {
    const { position, seq, content, hash } = seal
    if (position !== this.position + 1)
      this.fault(
        'gap',
        this.position + 1,
        null,
        `the links ${this.position + 1} to ${position - 1} are missing`,
      )
    if (!event) this.fault('deleted', position, seq, `event ${seq} has been deleted`)
    else if (contentOf(event) !== content)
      this.fault(
        'edited',
        position,
        seq,
        `event ${seq} is not what was sealed: it has been edited, or exchanged for another`,
      )
    if (position === this.position + 1 && linkOf(this.hash, position, content) !== hash) {
      this.fault(
        'reordered',
        position,
        seq,
        `event ${seq} was not sealed in this place: links have been changed or moved`,
      )
    }
    if (event) this.checkPersonal(event.personal, personal, position, seq)
    this.events += 1
    this.position = position
    this.hash = hash
    if (checkpoint) this.checkSignature(checkpoint)
  }

  private checkPersonal(sealed: string, found: SealedEvent['personal'], position: number, seq: string): void {
    const hashes = JSON.parse(sealed) as Record<string, string>
    for (const { field, salt, value } of found) {
      if (hashes[field] !== hashPersonal(salt, value))
        this.fault(
          'personal_edited',
          position,
          seq,
          `what event ${seq} says in ${field} is not what was sealed`,
        )
    }
    this.erased += Math.max(0, Object.keys(hashes).length - found.length)
  }

  private checkSignature(checkpoint: Checkpoint): void {
    if (this.keys.isSigned(checkpoint)) {
      this.signatures += 1
      this.signedUpTo = checkpoint.position
    } else if (this.keys.isTrusted(checkpoint.signedBy)) {
      this.fault(
        'signature_wrong',
        checkpoint.position,
        null,
        `the signature at ${checkpoint.position} is wrong`,
      )
    }
  }

  /** A later signature covers all links before it, so that old keys need not be known. */
  finish(): void {
    if (this.events > 0 && this.signedUpTo < this.position) {
      this.fault(
        'not_signed',
        this.signedUpTo + 1,
        null,
        `the links from ${this.signedUpTo + 1} on are not signed by a key that counts: name the ` +
          'keys that do with --key',
      )
    }
  }
}

/**
 * Returns where the chain begins in this database: at the beginning, or after an archive, whose record must
 * be signed.
 */
async function startOf(
  sql: Sql,
  keys: CheckpointKeys,
): Promise<{ position: number; hash: string; faults: string[] }> {
  const end = await findArchiveEnd(sql)
  if (!end) return { position: 0, hash: genesis, faults: [] }
  const faults = [
    keys.isArchiveSigned(end)
      ? undefined
      : `the record of the archive that ends at ${end.position} is not signed by a key that ` +
        'counts: events may have been removed without one',
    (await findHashAt(sql, end.position)) === end.hash
      ? undefined
      : `the chain does not go on where the archive ends, at ${end.position}`,
    (await countBehindArchive(sql, end.position)) === 0
      ? undefined
      : `there are links or events up to ${end.position}, where the archive ends, that should be in the archive alone`,
  ].filter((fault) => fault !== undefined)
  return { position: end.position, hash: end.hash, faults }
}

async function checkAgainst(
  verifier: Verifier,
  sql: Sql,
  keys: CheckpointKeys,
  checkpoint: Checkpoint,
  known: ReadonlyMap<number, string>,
  begins: number,
): Promise<void> {
  const { position, hash } = checkpoint
  if (!keys.isSigned(checkpoint)) {
    verifier.fault(
      'signature_wrong',
      position,
      null,
      'the checkpoint itself is not signed by a key that counts',
    )
    return
  }
  const found = known.get(position) ?? (await findHashAt(sql, position))
  if (found === undefined && position < begins)
    verifier.fault(
      'archived',
      position,
      null,
      `the checkpoint of ${checkpoint.sealedAt} lies in an archive: name that with --archive`,
    )
  else if (found === undefined)
    verifier.fault(
      'cut',
      position,
      null,
      `the chain ends before ${position}, where the checkpoint of ${checkpoint.sealedAt} was ` +
        'made: events have been cut off',
    )
  else if (found !== hash)
    verifier.fault(
      'rewritten',
      position,
      null,
      `the chain at ${position} is not the one that the checkpoint of ${checkpoint.sealedAt} was made of`,
    )
}

/**
 * Verifies the chain against the events, the signatures, and checkpoints that were kept elsewhere. Rejects
 * when the database cannot be asked.
 */
export async function verifyChain({
  sql,
  keys,
  after = 0,
  whole = after === 0,
  checkpoints = [],
  archived = new Map(),
  maxFaults = 100,
}: Options): Promise<Verification> {
  const begins = await startOf(sql, keys)
  const start = after > begins.position ? await findHashAt(sql, after) : undefined
  const verifier = new Verifier(start === undefined ? begins.position : after, start ?? begins.hash, keys)
  for (const message of begins.faults) verifier.fault('archived', begins.position, null, message)
  for (
    let page = await listSealedEvents(sql, verifier.position, pageSize);
    page.length > 0 && verifier.faults.length < maxFaults;
    page = await listSealedEvents(sql, verifier.position, pageSize)
  ) {
    for (const one of page) verifier.check(one)
  }
  if (verifier.faults.length < maxFaults) verifier.finish()
  for (const checkpoint of checkpoints)
    await checkAgainst(verifier, sql, keys, checkpoint, archived, begins.position)
  if (whole) await findSkipped(verifier, sql, maxFaults)
  const { events, position, signatures, erased, faults } = verifier
  return { events, position, signatures, erased, faults }
}

async function findSkipped(verifier: Verifier, sql: Sql, maxFaults: number): Promise<void> {
  for (let from: string | null = '0'; from !== null && verifier.faults.length < maxFaults;) {
    const { skipped, upTo } = await listSkippedEvents(sql, from, scanSize)
    for (const seq of skipped)
      verifier.fault(
        'not_sealed',
        null,
        seq,
        `event ${seq} should be in the chain and is not: it was put in later, or its link is gone`,
      )
    from = upTo
  }
}
