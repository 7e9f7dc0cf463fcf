import path from 'node:path'
import { recordChange, type Actor } from '../audit/record-change.js'
import type { CoherentTx } from '../coherence/coherent.js'
import { environmentVariable } from '../config.js'
import { GatewayError } from '../errors.js'
import { slugFrom } from '../portal/slug.js'
import { csvRows, type SourceRow } from './csv-rows.js'
import { beginImport, insertSessionsOfTokens, listAdminsMade, Stage, type Counts, type RefusedRow, type StagedRow } from './import-queries.js'
import { kindNames, kinds, type KindName } from './kinds.js'
import { columnsOf, type KindMapping, type Mapping } from './mapping.js'
import { openOldDatabase } from './source-queries.js'
import { readValue, type Value } from './values.js'

/** What an import did, or would do. */
export interface Report {
  kinds: Partial<Record<KindName, Counts>>
  /** Sessions that were made for tokens, as the old side has no rows of them. */
  sessionsOfTokens: number
  refused: RefusedRow[]
  /** Refused rows beyond those that are listed. */
  refusedBeyond: number
}

/** Where rows come from. */
interface Source {
  rows: (from: string) => AsyncGenerator<SourceRow>
  close: () => Promise<void>
}

const batchRows = 2000
/** Refused rows that a report lists of each kind. */
const mostListed = 1000

/** Opens the old side. Rejects where an environment variable is missing or the database cannot be reached. */
export async function openSource({ source }: Mapping, directory: string): Promise<Source> {
  if ('csv' in source) {
    const folder = path.resolve(directory, source.csv)
    return { rows: (from) => csvRows(path.join(folder, from)), close: () => Promise.resolve() }
  }
  const variable = source.url.startsWith('$') ? source.url.slice(1) : undefined
  const url = variable === undefined ? source.url : environmentVariable(variable)
  if (!url) throw new Error(`The environment variable ${String(variable)}, which the mapping file names as the old database's URL, is not set`)
  try {
    return await openOldDatabase(url)
  } catch (error) {
    throw new Error(`The old database cannot be reached: ${error instanceof Error ? error.message : String(error)}. Correct source.url of the mapping file.`, { cause: error })
  }
}

/** A column that is missing is missing in each row: that is the mapping's fault, and no reason to refuse them all. */
function refuseUnknownColumns(name: KindName, columns: KindMapping['columns'], values: SourceRow['values']): void {
  const missing = Object.entries(columns).find(([, from]) => !(from in values))
  if (missing) throw new GatewayError('validation_failed', `${name}: the old side has no column ${missing[1]}, which the mapping file names for ${missing[0]}. It has ${Object.keys(values).join(', ')}`)
}

/** Returns how the rows of one kind are read: as ours, or as the reason why a row cannot be. */
function readerOf(name: KindName, { columns, defaults }: KindMapping): (source: SourceRow) => StagedRow | { reason: string; row: number } {
  const known = columnsOf(kinds[name])
  const mapped = Object.keys(known).filter((column) => column in columns || column in defaults)
  let isKnown = false
  return ({ row, values }) => {
    if (!isKnown) refuseUnknownColumns(name, columns, values)
    isKnown = true
    const staged: StagedRow = { row }
    for (const column of mapped) {
      const { type = 'text', required, fallback = null } = known[column] ?? {}
      const from = columns[column]
      const given = from === undefined ? undefined : values[from]
      const read = readValue(type, given === undefined || given === null || given === '' ? defaults[column] : given)
      if ('fault' in read) return { row, reason: `${column}: ${read.fault}` }
      const value: Value = read.value ?? fallback
      if (value === null && required) return { row, reason: `${column}: is empty` }
      staged[column] = value
    }
    if (name === 'mandates' && !mapped.includes('slug')) staged.slug = slugFrom(String(staged.label))
    return staged
  }
}

/** What fails on the old side is told as it is: it says nothing of the database here. */
async function* rowsOf(source: Source, name: KindName, from: string): AsyncGenerator<SourceRow> {
  try {
    yield* source.rows(from)
  } catch (error) {
    throw new GatewayError('validation_failed', `${name}: ${error instanceof Error ? error.message : String(error)}. Correct \`from\` of the mapping file, or what it names.`, { cause: error })
  }
}

async function importKind(tx: CoherentTx, name: KindName, mapping: KindMapping, source: Source): Promise<{ counts: Counts; refused: RefusedRow[]; sessions: number }> {
  const mapped = Object.keys({ ...mapping.columns, ...mapping.defaults, ...(name === 'mandates' ? { slug: '' } : {}) })
  const stage = new Stage(name, mapped)
  const read = readerOf(name, mapping)
  const unreadable: RefusedRow[] = []
  let [rows, refused] = [0, 0]
  let batch: StagedRow[] = []
  await stage.open(tx)
  const flush = async () => {
    if (batch.length > 0) await stage.add(tx, batch)
    batch = []
  }
  for await (const one of rowsOf(source, name, mapping.from)) {
    rows += 1
    const staged = read(one)
    if (typeof staged.reason === 'string') {
      refused += 1
      if (unreadable.length < mostListed) unreadable.push({ kind: name, row: staged.row, reason: staged.reason })
    } else batch.push(staged)
    if (batch.length >= batchRows) await flush()
  }
  await flush()
  const sessions = name === 'tokens' ? await insertSessionsOfTokens(tx) : 0
  await stage.check(tx)
  await stage.merge(tx)
  const counts = await stage.count(tx)
  const listed = [...unreadable, ...await stage.listRefused(tx, mostListed)].sort((one, other) => one.row - other.row).slice(0, mostListed)
  return { counts: { read: rows, ...counts, refused: counts.refused + refused }, refused: listed, sessions }
}

/** Imports all that the mapping names, in one transaction: all of it is made, or nothing. Refused rows are left out. */
export async function runImport(tx: CoherentTx, mapping: Mapping, source: Source, actor: Actor): Promise<Report> {
  await beginImport(tx)
  const report: Report = { kinds: {}, sessionsOfTokens: 0, refused: [], refusedBeyond: 0 }
  for (const name of kindNames) {
    const of = mapping[name]
    if (!of) continue
    const { counts, refused, sessions } = await importKind(tx, name, of, source)
    report.kinds[name] = counts
    report.sessionsOfTokens += sessions
    report.refused.push(...refused)
    report.refusedBeyond += counts.refused - refused.length
  }
  const changed = Object.values(report.kinds).some(({ made, updated }) => made + updated > 0)
  if (changed) await recordChange(tx, { actor, mandateId: 'system', action: 'directory_imported', subject: 'import', after: { kinds: report.kinds, sessionsOfTokens: report.sessionsOfTokens } })
  for (const { id, ...levels } of mapping.users ? await listAdminsMade(tx) : []) {
    await recordChange(tx, { actor, mandateId: 'system', action: 'user_created', subject: `user:${id}`, after: { ...levels, by: 'import' } })
  }
  return report
}
