import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import { columnsOf } from './mapping.js'
import { kinds, type KindName } from './kinds.js'
import type { Value } from './values.js'

/** What became of the rows of one kind. */
export interface Counts {
  read: number
  made: number
  updated: number
  unchanged: number
  /** They differ, or are gone, as somebody changed them here since. */
  kept: number
  /** Tokens and sessions that let nobody in any more. */
  leftOut: number
  /** Imported before, still here after this, and not on the old side any more. */
  gone: number
  /** Not on the old side any more, and ended by this import. */
  ended: number
  refused: number
}

/** A row that was not taken, and why. Never holds a hash or a token. */
export interface RefusedRow {
  kind: KindName
  row: number
  reason: string
}

/** A row of a batch: where it stood, and its values by our columns; a `reason` where it cannot be taken. */
export type StagedRow = Record<string, Value | number> & { row: number }

const sqlTypes: Record<string, string> = { uuid: 'uuid', boolean: 'boolean', time: 'timestamptz' }
const quoted = (column: string) => `"${column}"`
/** SQL that says what was imported without keeping it. */
export const digest = (of: string) =>
  `left(encode(sha256(convert_to(coalesce(${of}::text, ''), 'UTF8')), 'hex'), 32)`
/** SQL for a row of `imported_rows` that an import has ended itself: it is made again when it comes back. */
export const isEnded = (alias: string) => `${alias} ->> 'ended' is not null`

/** A kind and the columns of it that a mapping fills. */
export class Stage {
  readonly table: string
  private readonly kind
  private readonly own: string[]

  constructor(
    readonly name: KindName,
    mapped: readonly string[],
  ) {
    this.table = `import_${name}`
    this.kind = kinds[name]
    const { via, columns } = this.kind
    // The row that is named by other columns is found before anything is looked at.
    this.own = Object.keys(columns).filter(
      (column) =>
        mapped.includes(column) || (via?.column === column && via.by.every((one) => mapped.includes(one))),
    )
  }

  private typeOf(column: string): string {
    return sqlTypes[columnsOf(this.kind)[column]?.type ?? 'text'] ?? 'text'
  }

  private get definition(): string {
    return Object.keys(columnsOf(this.kind))
      .map((column) => `${quoted(column)} ${this.typeOf(column)}`)
      .join(', ')
  }

  /** Key columns as SQL of one alias. */
  private keyOf(alias: string): string[] {
    return this.kind.key.map((column) =>
      column.startsWith('coalesce(') ? column.replace('(', `(${alias}.`) : `${alias}.${column}`,
    )
  }

  private get matches(): string {
    const [rows, here] = [this.keyOf('s'), this.keyOf('t')]
    return rows.map((one, index) => `${one} = ${here[index] ?? ''}`).join(' and ')
  }

  /** The key of a row as one text, as SQL. */
  keyText(alias: string): string {
    return `concat_ws(':', ${this.keyOf(alias).join(', ')})`
  }

  private get updatable(): string[] {
    return this.own.filter((column) => this.kind.columns[column]?.updates !== undefined)
  }

  async open(tx: CoherentTx): Promise<void> {
    await tx.run(`
      create temp table ${this.table} (
        row int, reason text, base jsonb, next jsonb, present boolean not null default false, changed boolean not null default false,
        differs boolean not null default false, made boolean not null default false, ${this.definition}
      ) on commit drop`)
  }

  async add(tx: CoherentTx, rows: StagedRow[]): Promise<void> {
    const columns = ['row', 'reason', ...Object.keys(columnsOf(this.kind))].map(quoted).join(', ')
    await tx.run(
      `
      insert into ${this.table} (${columns})
      select ${columns}
        from jsonb_to_recordset(?::jsonb) as given(row int, reason text, ${this.definition})`,
      [JSON.stringify(rows)],
    )
  }

  /** Writes the reason into the rows for which a condition holds and that have none yet. */
  private async refuse(tx: CoherentTx, reason: string, condition: string): Promise<void> {
    await tx.run(`update ${this.table} s set reason = ${reason} where s.reason is null and ${condition}`)
  }

  private async refuseTwins(tx: CoherentTx, by: string, what: string, which: string): Promise<void> {
    await tx.run(`
      update ${this.table} s
         set reason = '${what}: row ' || case when twin.row = twin.first then twin.last else twin.first end || ' has the same'
        from (select row,
                     min(row) over (partition by ${by}) as first,
                     max(row) over (partition by ${by}) as last
                from ${this.table} s
               where s.reason is null) as twin
       where twin.row = s.row and s.reason is null and ${which}`)
  }

  /** Finds the rows that are named by other columns than their ids. */
  async resolve(tx: CoherentTx): Promise<void> {
    const { via } = this.kind
    if (!via) return
    const by = via.by.map((column) => `t.${column} = s.${column}`).join(' and ')
    await tx.run(
      `update ${this.table} s set ${via.column} = t.id from ${via.kind} t where s.${via.column} is null and ${by}`,
    )
  }

  /** Returns how many rows have a key that can be read, refused ones included. */
  async countKeys(tx: CoherentTx): Promise<number> {
    const [found] = await tx.rows<{ n: number }>(
      `select count(*)::int as n from ${this.table} s where ${this.keyOf('s')
        .map((one) => `${one} is not null`)
        .join(' and ')}`,
    )
    return found?.n ?? 0
  }

  /** Finds out which rows cannot be taken. */
  async check(tx: CoherentTx): Promise<void> {
    await tx.run(`create index on ${this.table} (row)`)
    const { via, unique, columns, key, refuse = [] } = this.kind
    if (via) {
      await this.resolve(tx)
      await this.refuse(
        tx,
        `'${via.column}: there is no such row of ${via.kind} here'`,
        `s.${via.column} is null`,
      )
    }
    for (const [column, { of }] of Object.entries(columns)) {
      if (of)
        await this.refuse(
          tx,
          `'${column}: there is no such row of ${of} here'`,
          `s.${column} is not null and not exists (select from ${of} t where t.id = s.${column})`,
        )
    }
    await this.refuseTwins(
      tx,
      this.keyOf('s').join(', '),
      key.map((column) => column.replace('coalesce(', '').replace(", '')", '')).join(' and '),
      'twin.row > twin.first',
    )
    if (unique) {
      const [column, expression] = unique
      await this.refuseTwins(tx, expression, column, 'twin.first <> twin.last')
      const here = (alias: string) => expression.replace(column, `${alias}.${column}`)
      await this.refuse(
        tx,
        `'${column}: another row here has it${column === 'username' ? ', in this or another letter case' : ''}'`,
        `exists (select from ${this.name} t where ${here('t')} = ${here('s')} and not (${this.matches}))`,
      )
    }
    if ('id' in columns && !key.includes('id'))
      await this.refuse(
        tx,
        `'id: another row here has it'`,
        `exists (select from ${this.name} t where t.id = s.id and not (${this.matches}))`,
      )
    for (const [reason, condition] of refuse) await this.refuse(tx, `'${reason}'`, condition)
  }

  /** Compares each row with the one here, and with what was imported before. */
  private async compare(tx: CoherentTx): Promise<void> {
    await tx.run(
      `update ${this.table} s set base = b.columns from imported_rows b where b.kind = '${this.name}' and b.key = ${this.keyText('s')} and s.reason is null`,
    )
    const mayChange = (column: string) =>
      `coalesce(s.base ->> '${column}' = ${digest(`t.${quoted(column)}`)}, false) and (${this.kind.columns[column]?.updates ?? 'false'})`
    const isOther = (column: string) => `s.${quoted(column)} is distinct from t.${quoted(column)}`
    const compared = this.own.filter(
      (column) =>
        column !== 'id' && !this.kind.key.includes(column) && this.kind.columns[column]?.orElse === undefined,
    )
    const any = (conditions: string[]) =>
      conditions.length > 0 ? conditions.map((one) => `(${one})`).join(' or ') : 'false'
    const next = this.updatable.map(
      (column) =>
        `|| case when ${mayChange(column)} then jsonb_build_object('${column}', ${digest(`s.${quoted(column)}`)}) else '{}' end`,
    )
    await tx.run(`
      update ${this.table} s
         set present = true,
             changed = ${any(this.updatable.map((column) => `${isOther(column)} and ${mayChange(column)}`))},
             differs = ${any(compared.map((column) => (this.updatable.includes(column) ? `${isOther(column)} and not (${mayChange(column)})` : isOther(column))))},
             next = (s.base - 'ended') ${next.join(' ')}
        from ${this.name} t
       where ${this.matches} and s.reason is null`)
    await tx.run(`
      update ${this.table} s
         set made = true,
             next = '{}'::jsonb ${this.updatable.map((column) => `|| jsonb_build_object('${column}', ${digest(`s.${quoted(column)}`)})`).join(' ')}
       where s.reason is null and not s.present and (s.base is null or ${isEnded('s.base')}) and not coalesce(${this.kind.ended ?? 'false'}, false)`)
  }

  /**
   * Writes what is to be written. One statement for all rows, so that many of them are announced to the nodes
   * together.
   */
  async merge(tx: CoherentTx): Promise<void> {
    await this.compare(tx)
    const filled = this.own.map(quoted).join(', ')
    const given = this.own.map((column) => {
      const { orElse } = this.kind.columns[column] ?? {}
      return orElse === undefined ? quoted(column) : `coalesce(${quoted(column)}, ${orElse})`
    })
    await tx.run(
      `insert into ${this.name} (${filled}) select ${given.join(', ')} from ${this.table} where made`,
    )
    if (this.updatable.length > 0) {
      const mayBecome = (column: string) =>
        `${quoted(column)} = case when s.next ->> '${column}' is distinct from s.base ->> '${column}' then s.${quoted(column)} else t.${quoted(column)} end`
      await tx.run(
        `update ${this.name} t set ${this.updatable.map(mayBecome).join(', ')} from ${this.table} s where s.changed and ${this.matches}`,
      )
    }
    await tx.run(`
      insert into imported_rows (kind, key, columns)
      select '${this.name}', ${this.keyText('s')}, s.next
        from ${this.table} s
       where s.made or s.changed
      on conflict (kind, key) do update set columns = excluded.columns, imported_at = now()`)
  }

  async count(tx: CoherentTx): Promise<Omit<Counts, 'read' | 'gone' | 'ended'>> {
    const [counts] = await tx.rows<Omit<Counts, 'read' | 'gone' | 'ended'>>(`
      select count(*) filter (where made)::int as made,
             count(*) filter (where changed)::int as updated,
             count(*) filter (where present and not changed and not differs)::int as unchanged,
             count(*) filter (where reason is null and not changed and (differs or (not present and not made and base is not null)))::int as kept,
             count(*) filter (where reason is null and not present and not made and base is null)::int as "leftOut",
             count(*) filter (where reason is not null)::int as refused
        from ${this.table}`)
    if (!counts) throw new Error('a count has a row')
    return counts
  }

  async listRefused(tx: CoherentTx, atMost: number): Promise<RefusedRow[]> {
    const found = await tx.rows<{ row: number; reason: string }>(
      `select row, reason from ${this.table} where reason is not null order by row limit ?`,
      [atMost],
    )
    return found.map((one) => ({ kind: this.name, ...one }))
  }
}

/** One import at a time; times are written in UTC, whatever the session's time zone. */
export async function beginImport(tx: CoherentTx): Promise<void> {
  await tx.run(
    `select pg_advisory_xact_lock(hashtext('mandate-gateway import')), set_config('timezone', 'UTC', true)`,
  )
}

/**
 * Makes the sessions that staged tokens belong to, where the old side had no table of them. Returns how many.
 */
export async function insertSessionsOfTokens(tx: CoherentTx): Promise<number> {
  return await tx.run(`
    insert into sessions (id, user_id, authority)
    select distinct on (s.session_id) s.session_id, s.user_id, s.authority
      from import_tokens s
      join users u on u.id = s.user_id
     where s.session_id is not null and s.reason is null and s.status = 'active' and s.expires_at > now()
       and not exists (select from tokens t where t.id = s.id)
       and not exists (select from imported_rows b where b.kind = 'tokens' and b.key = s.id::text)
     order by s.session_id, s.row
    on conflict (id) do nothing`)
}

/** Users of this import who hold a platform level from now on. */
export async function listAdminsMade(
  tx: CoherentTx,
): Promise<{ id: string; isSysAdmin: boolean; isPlatformAdmin: boolean }[]> {
  return await tx.rows(`
    select u.id, u.is_sys_admin as "isSysAdmin", u.is_platform_admin as "isPlatformAdmin"
      from import_users s
      join users u on u.id = s.id
     where s.made and (u.is_sys_admin or u.is_platform_admin)`)
}
