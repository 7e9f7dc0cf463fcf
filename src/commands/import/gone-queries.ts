import { recordChanges, type Actor } from '../../audit/record-change.js'
import { liveTokens } from '../../authentication/end-queries.js'
import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import { ends, stillCounts } from './ends.js'
import { digest, isEnded, type Stage } from './import-queries.js'
import { kinds, type KindName } from './kinds.js'

/** A row that was imported and is not on the old side any more. */
export interface GoneRow {
  kind: KindName
  /** What tells it apart: its id, or the ids that it joins. */
  key: string
  /** This import has taken away what it allowed. */
  ended: boolean
  /** Why it was left although it was to end. */
  reason: string | null
}

/** Rows whose events are written together. */
const eventsTogether = 1000

/** To be called before any other of these. */
export async function beginGone(tx: CoherentTx): Promise<void> {
  await tx.run(`
    create temp table import_gone (
      kind text, key text, ended boolean not null, reason text, subject text, mandate_id text, before jsonb, primary key (kind, key)
    ) on commit drop`)
}

/** SQL that holds for a row that is as an import left it. */
function isAsImported(name: KindName): string {
  const { columns } = kinds[name]
  const compared =
    ends[name]?.compared ?? Object.keys(columns).filter((column) => columns[column]?.updates !== undefined)
  const same = compared.map((column) => {
    const fallback = columns[column]?.fallback
    return `coalesce(b.columns ->> '${column}', ${digest(fallback === undefined ? 'null' : `'${String(fallback)}'`)}) = ${digest(`t."${column}"`)}`
  })
  return [`not (${isEnded('b.columns')})`, ...same].join(' and ')
}

/** SQL of the reason why a row is left, null for one that can end. */
function reasonOf(name: KindName): string {
  const end = ends[name]
  if (!end) return `'an import ends no row of ${name}: disable or delete it yourself'`
  const left = [
    ...(end.left ?? []),
    ['it was changed here since', `not (${isAsImported(name)})`],
    ...(end.hanging ?? []),
  ]
  return `case ${left.map(([reason, condition]) => `when ${condition} then '${reason}'`).join(' ')} end`
}

/**
 * Finds the rows of one kind that were imported, count here, and are not on the old side any more. With
 * `endGone` they are locked. Returns how many can end.
 */
export async function findGone(tx: CoherentTx, stage: Stage, endGone: boolean): Promise<number> {
  const { name, table } = stage
  const end = ends[name]
  if (end?.action === 'delete') {
    // Somebody has made it here again: it is no import's any more.
    await tx.run(
      `update imported_rows b set columns = '{"here": true}' from ${name} t where b.kind = '${name}' and ${isEnded('b.columns')} and ${stage.keyText('t')} = b.key`,
    )
  }
  const gone = `
      from imported_rows b
      join ${name} t on ${stage.keyText('t')} = b.key
     where b.kind = '${name}' and b.columns ->> 'here' is null and ${stillCounts[name] ?? 'true'}
       and not exists (select from ${table} s where ${stage.keyText('s')} = b.key)`
  // nobody changes them, or hangs anything on them, from now on
  if (endGone) await tx.run(`select ${gone} order by b.key for update of t`)
  const { subject = 'null', mandate = 'null', before = 'null' } = end ?? {}
  await tx.run(`
    insert into import_gone (kind, key, ended, reason, subject, mandate_id, before)
    select '${name}', b.key, false, ${endGone ? reasonOf(name) : 'null'}, ${subject}, ${mandate}, ${before} ${gone}`)
  const [found] = await tx.rows<{ n: number }>(
    'select count(*)::int as n from import_gone where kind = ? and reason is null',
    [name],
  )
  return found?.n ?? 0
}

/**
 * Takes away what the rows allow that were found, and says so in the audit. `keyText`: the key of a row here,
 * as SQL.
 */
export async function endGone(tx: CoherentTx, name: KindName, keyText: string, actor: Actor): Promise<void> {
  const end = ends[name]
  if (!end) return
  const which = `g.kind = '${name}' and g.reason is null and ${keyText} = g.key`
  await tx.run(
    end.action === 'delete'
      ? `delete from ${name} t using import_gone g where ${which}`
      : `update ${name} t set ${end.action} from import_gone g where ${which}`,
  )
  if (end.mark)
    await tx.run(
      `update imported_rows b set columns = ${end.mark}, imported_at = now() from import_gone g where b.kind = '${name}' and g.kind = b.kind and g.key = b.key and g.reason is null`,
    )
  await tx.run(`update import_gone set ended = true where kind = '${name}' and reason is null`)
  const { event } = end
  if (event === undefined) return
  for (let after = ''; ;) {
    const rows = await tx.rows<{ key: string; subject: string; mandateId: string | null; before: object }>(
      `
      select key, subject, mandate_id as "mandateId", before
        from import_gone
       where kind = ? and ended and key > ?
       order by key
       limit ?`,
      [name, after, eventsTogether],
    )
    await recordChanges(
      tx,
      rows.map(({ subject, mandateId, before }) => ({
        actor,
        mandateId: mandateId ?? 'system',
        action: event,
        subject,
        before,
        after: { ...end.after, by: 'import' },
      })),
    )
    after = rows.at(-1)?.key ?? ''
    if (rows.length < eventsTogether) return
  }
}

/**
 * Ends the sessions of people who were disabled, and revokes their tokens and those of sessions that have
 * ended.
 */
export async function signOutGone(tx: CoherentTx): Promise<void> {
  const ended = (kind: KindName) => `(select key::uuid from import_gone where kind = '${kind}' and ended)`
  await tx.run(`update sessions set ended_at = now() where ended_at is null and user_id in ${ended('users')}`)
  await tx.run(`
    update tokens set status = 'revoked', revoked_at = now()
     where ${liveTokens} and (session_id in ${ended('sessions')} or user_id in ${ended('users')} and (session_id is not null or purpose <> 'data_connection'))`)
}

export async function countGone(tx: CoherentTx, name: KindName): Promise<{ gone: number; ended: number }> {
  const [counts] = await tx.rows<{ gone: number; ended: number }>(
    `
    select count(*) filter (where not ended)::int as gone, count(*) filter (where ended)::int as ended
      from import_gone
     where kind = ?`,
    [name],
  )
  return counts ?? { gone: 0, ended: 0 }
}

/** Lists them by key, at most so many; those that were left come first. */
export async function listGone(tx: CoherentTx, name: KindName, atMost: number): Promise<GoneRow[]> {
  return await tx.rows<GoneRow>(
    'select kind, key, ended, reason from import_gone where kind = ? order by ended, key limit ?',
    [name, atMost],
  )
}
