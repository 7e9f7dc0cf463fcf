import type { Sql, Tx } from '../database/connect.js'
import type { Seal, SealableEvent } from './chain.js'
import type { Checkpoint } from './checkpoint.js'

/** Any fixed number. Each process that seals holds the lock of this number until its transaction ends. */
const sealerLock = 7_162_040

/** The columns of `audit_events e`, as they are sealed. */
const sealable = `
           e.seq::text as seq, e.id, extract(epoch from e.occurred_at)::text as "occurredAt",
           e.user_id as "userId", e.mandate_id as "mandateId", e.action, e.request_id as "requestId",
           e.details::text as details, e.personal::text as personal`

/** The end of the chain. */
export interface LastSeal extends Seal {
  /** All events of earlier transactions are in the chain. */
  horizon: string
  /** True when the server has not reached that number: the chain was restored from another server. */
  isForeign: boolean
}

/** Takes the sealer's lock until the transaction ends. Returns false when another process holds it. */
export async function tryToSeal(tx: Tx): Promise<boolean> {
  const [row] = await tx.rows<{ locked: boolean }>('select pg_try_advisory_xact_lock(?) as locked', [
    sealerLock,
  ])
  return row?.locked === true
}

/** Finds the end of the chain. */
export async function findLastSeal(sql: Sql): Promise<LastSeal | undefined> {
  const [row] = await sql.rows<Omit<LastSeal, 'position'> & { position: string }>(`
    select position::text, seq::text, horizon::text,
           encode(content, 'hex') as content, encode(hash, 'hex') as hash,
           horizon > pg_snapshot_xmax(pg_current_snapshot()) as "isForeign"
      from audit_seals s
     order by s.position desc
     limit 1`)
  return row && { ...row, position: Number(row.position) }
}

/**
 * Selects the events that are not sealed. The search starts at the horizon: each transaction before it had
 * ended when the horizon was read, so all its events were visible. A sequence number or a time would miss the
 * events of a slow transaction.
 */
function unsealed(last: LastSeal | undefined): { from: string; values: string[] } {
  const isKnown = last !== undefined && !last.isForeign
  return {
    from: `audit_events e
     where ${isKnown ? 'e.xid >= ?::xid8 and e.xid < pg_snapshot_xmax(pg_current_snapshot()) and' : ''}
           not exists (select from audit_seals s where s.seq = e.seq)`,
    values: isKnown ? [last.horizon] : [],
  }
}

/** Lists events that are not sealed yet. Returns the new horizon: no unsealed event lies before it. */
export async function listUnsealedEvents(
  sql: Sql,
  last: LastSeal | undefined,
  atMost: number,
): Promise<{ events: SealableEvent[]; horizon: string }> {
  const { from, values } = unsealed(last)
  const rows = await sql.rows<SealableEvent & { horizon: string }>(
    `
    select ${sealable}, pg_snapshot_xmin(pg_current_snapshot())::text as horizon
      from ${from}
     order by e.xid, e.seq
     limit ?`,
    [...values, atMost],
  )
  const isAll = rows.length < atMost
  return {
    events: rows.map(({ horizon: _, ...event }) => event),
    horizon: (isAll ? rows[0]?.horizon : last?.horizon) ?? '0',
  }
}

/** Inserts links. The last of them is signed. */
export async function insertSeals(
  tx: Tx,
  seals: Seal[],
  horizon: string,
  { position, sealedAt, signedBy, signature }: Checkpoint,
): Promise<void> {
  await tx.run(
    `
    insert into audit_seals (position, seq, horizon, content, hash, sealed_at, signed_by, signature)
    select s.position, s.seq, ?::xid8, decode(s.content, 'hex'), decode(s.hash, 'hex'), ?,
           case when s.position = ? then ? end, case when s.position = ? then ? end
      from jsonb_to_recordset(?::jsonb) as s (position bigint, seq bigint, content text, hash text)`,
    [horizon, sealedAt, position, signedBy, position, signature, JSON.stringify(seals)],
  )
}

interface CheckpointRow extends Omit<Checkpoint, 'position' | 'sealedAt'> {
  position: string
  sealedAt: Date
}

const checkpointColumns = `
           position::text, encode(hash, 'hex') as hash, sealed_at as "sealedAt",
           signed_by as "signedBy", signature`
const checkpointOf = ({ position, sealedAt, ...rest }: CheckpointRow): Checkpoint => ({
  ...rest,
  position: Number(position),
  sealedAt: sealedAt.toISOString(),
})

/** Finds the last signed link. */
export async function findLastCheckpoint(sql: Sql): Promise<Checkpoint | undefined> {
  // orders by the column, not by its text
  const [row] = await sql.rows<CheckpointRow>(
    `
    select ${checkpointColumns}
      from audit_seals s
     where signature is not null
     order by s.position desc
     limit 1`,
  )
  return row && checkpointOf(row)
}

/** A link with the event that it seals, as far as both exist, and with the event's values about persons. */
export interface SealedEvent {
  seal: Seal
  checkpoint: Checkpoint | null
  event: SealableEvent | null
  personal: { field: string; salt: string; value: string }[]
}

/** Lists the links after `position`, with their events. */
export async function listSealedEvents(sql: Sql, position: number, atMost: number): Promise<SealedEvent[]> {
  interface Row extends CheckpointRow, Omit<SealableEvent, 'id'> {
    sealSeq: string
    content: string
    id: string | null
    persons: SealedEvent['personal']
  }
  const rows = await sql.rows<Row>(
    `
    select s.position::text, s.seq::text as "sealSeq",
           encode(s.content, 'hex') as content, encode(s.hash, 'hex') as hash,
           s.sealed_at as "sealedAt", s.signed_by as "signedBy", s.signature,
           ${sealable},
           coalesce(
             (select jsonb_agg(jsonb_build_object('field', p.field, 'salt', p.salt, 'value', p.value))
                from audit_personal p
               where p.event_id = e.id),
             '[]') as persons
      from audit_seals s
      left join audit_events e on e.seq = s.seq
     where s.position > ?
     order by s.position
     limit ?`,
    [position, atMost],
  )
  return rows.map((row) => ({
    seal: { position: Number(row.position), seq: row.sealSeq, content: row.content, hash: row.hash },
    checkpoint: row.signature ? checkpointOf(pick(row)) : null,
    event: row.id === null ? null : { ...row, id: row.id },
    personal: row.persons,
  }))
}

const pick = ({ position, hash, sealedAt, signedBy, signature }: CheckpointRow): CheckpointRow => ({
  position,
  hash,
  sealedAt,
  signedBy,
  signature,
})

/**
 * Counts the events that are not sealed yet, up to a hundred thousand, and returns the time of the oldest.
 */
export async function countUnsealed(sql: Sql): Promise<{ count: number; oldest: Date | null }> {
  const { from, values } = unsealed(await findLastSeal(sql))
  const [row] = await sql.rows<{ count: number; oldest: Date | null }>(
    `
    select count(*)::int as count, min(occurred_at) as oldest
      from (select e.occurred_at from ${from} limit 100000) as pending`,
    values,
  )
  return row ?? { count: 0, oldest: null }
}

/**
 * Searches the `atMost` events after the event `after`. Returns those before the horizon that are not in the
 * chain (an honest sealer leaves none), and how far it has looked; null at the end.
 */
export async function listSkippedEvents(
  sql: Sql,
  after: string,
  atMost: number,
): Promise<{ skipped: string[]; upTo: string | null }> {
  const [row] = await sql.rows<{ skipped: string[]; upTo: string | null }>(
    `
    with last as (select horizon from audit_seals order by position desc limit 1),
         page as (select e.seq, e.xid from audit_events e where e.seq > ?::bigint order by e.seq limit ?)
    select (select max(seq)::text from page) as "upTo",
           array(select page.seq::text from page, last
                  where page.xid < last.horizon and last.horizon <= pg_snapshot_xmax(pg_current_snapshot())
                    and not exists (select from audit_seals s where s.seq = page.seq)
                  order by page.seq) as skipped`,
    [after, atMost],
  )
  return row ?? { skipped: [], upTo: null }
}

/** Finds the hash at a position; undefined when the chain does not reach it. */
export async function findHashAt(sql: Sql, position: number): Promise<string | undefined> {
  const [row] = await sql.rows<{ hash: string }>(
    `select encode(hash, 'hex') as hash from audit_seals where position = ?`,
    [position],
  )
  return row?.hash
}
