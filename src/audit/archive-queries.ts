import type { Sql, Tx } from '../database/connect.js'
import type { ArchiveRecord } from './checkpoint.js'

/** Any fixed number. Each process that archives holds the lock of this number until its transaction ends. */
const archiveLock = 7_162_041

/** Finds the end of the last archive. The chain in the database goes on after it. */
export async function findArchiveEnd(sql: Sql): Promise<ArchiveRecord | undefined> {
  const [row] = await sql.rows<Omit<ArchiveRecord, 'position'> & { position: string }>(`
    select position::text, hash, digest, archived_at as "archivedAt", signed_by as "signedBy", signature
      from audit_archives a
     order by a.position desc
     limit 1`)
  return row && { ...row, position: Number(row.position) }
}

/** Finds the last signed link that was sealed before a moment, after the last archive. */
export async function findArchivable(
  sql: Sql,
  before: Date,
): Promise<{ position: number; hash: string } | undefined> {
  const [row] = await sql.rows<{ position: string; hash: string }>(
    `
    select s.position::text as position, encode(s.hash, 'hex') as hash
      from audit_seals s
     where s.sealed_at < ?
       and s.signature is not null
       and s.position > coalesce((select max(a.position) from audit_archives a), 0)
     order by s.position desc
     limit 1`,
    [before],
  )
  return row && { ...row, position: Number(row.position) }
}

/** Counts the rows of links that an archive holds. There should be none. */
export async function countBehindArchive(sql: Sql, position: number): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(
    `
    select ((select count(*) from audit_seals where position < ?)
          + (select count(*)
               from audit_events e
               join audit_seals s on s.seq = e.seq
              where s.position = ?))::int as count`,
    [position, position],
  )
  return row?.count ?? 0
}

/**
 * Deletes what has been archived, as the owner. Returns how many events and personal values were deleted. The
 * transaction must not commit when these numbers differ from those of the file.
 */
export async function deleteArchived(
  tx: Tx,
  record: ArchiveRecord,
  events: number,
): Promise<{ events: number; personal: number }> {
  await tx.rows('select pg_advisory_xact_lock(?)', [archiveLock])
  const from = `from audit_seals s join audit_events e on e.seq = s.seq where s.position <= ?`
  const personal = await tx.run(`delete from audit_personal where event_id in (select e.id ${from})`, [
    record.position,
  ])
  const deleted = await tx.run(
    `delete from audit_events where seq in (select s.seq from audit_seals s where s.position <= ?)`,
    [record.position],
  )
  await tx.run('delete from audit_seals where position < ?', [record.position])
  await tx.run(
    `insert into audit_archives (position, hash, events, digest, archived_at, signed_by, signature)
     values (?, ?, ?, ?, ?, ?, ?)`,
    [
      record.position,
      record.hash,
      events,
      record.digest,
      record.archivedAt,
      record.signedBy,
      record.signature,
    ],
  )
  return { events: deleted, personal }
}
