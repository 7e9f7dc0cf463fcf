import type { Sql, Tx } from '../database/connect.js'
import type { ArchiveRecord } from './checkpoint.js'

/** Any fixed number: whoever archives holds the lock of that number until its transaction ends. */
const archiveLock = 7_162_041

/** What the last archive says: the chain in the database goes on behind it. */
export async function findArchiveEnd(sql: Sql): Promise<ArchiveRecord | undefined> {
  const [row] = await sql.rows<Omit<ArchiveRecord, 'position'> & { position: string }>(`
    select position::text, hash, digest, archived_at as "archivedAt", signed_by as "signedBy", signature from audit_archives a order by a.position desc limit 1`)
  return row && { ...row, position: Number(row.position) }
}

/** The last signed link that was sealed before a moment, behind the last archive. */
export async function findArchivable(
  sql: Sql,
  before: Date,
): Promise<{ position: number; hash: string } | undefined> {
  const [row] = await sql.rows<{ position: string; hash: string }>(
    `
    select s.position::text as position, encode(s.hash, 'hex') as hash from audit_seals s
     where s.sealed_at < ? and s.signature is not null and s.position > coalesce((select max(a.position) from audit_archives a), 0)
     order by s.position desc limit 1`,
    [before],
  )
  return row && { ...row, position: Number(row.position) }
}

/** What is there of links that an archive holds, and should not be. */
export async function countBehindArchive(sql: Sql, position: number): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(
    `
    select ((select count(*) from audit_seals where position < ?)
          + (select count(*) from audit_events e join audit_seals s on s.seq = e.seq where s.position = ?))::int as count`,
    [position, position],
  )
  return row?.count ?? 0
}

/**
 * Takes away what has been archived, as the owner. Answers how many events and personal values that were: the
 * transaction must not commit where they are not those of the file.
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
    'insert into audit_archives (position, hash, events, digest, archived_at, signed_by, signature) values (?, ?, ?, ?, ?, ?, ?)',
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
