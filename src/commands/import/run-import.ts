import path from 'node:path'
import { recordChange, type Actor } from '../../audit/record-change.js'
import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import { environmentVariable } from '../../config.js'
import { GatewayError } from '../../errors.js'
import { slugFrom } from '../../portal/slug.js'
import { csvRows, type SourceRow } from './csv-rows.js'
import {
  beginGone,
  countGone,
  endGone,
  findGone,
  listGone,
  signOutGone,
  type GoneRow,
} from './gone-queries.js'
import {
  beginImport,
  insertSessionsOfTokens,
  listAdminsMade,
  Stage,
  type Counts,
  type RefusedRow,
  type StagedRow,
} from './import-queries.js'
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
  /** Rows that were imported and are not on the old side any more. */
  gone: GoneRow[]
  /** Such rows beyond those that are listed. */
  goneBeyond: number
}

/** What becomes of rows that were imported and are not on the old side any more. */
export interface GoneOptions {
  /** Takes away what they allow. */
  endGone: boolean
  /** Kinds of which the old side may have no row left. */
  endAll: readonly KindName[]
}

/** The rows of one kind, as the old side has them. */
interface Staged {
  stage: Stage
  rows: number
}

/** Where rows come from. */
interface Source {
  rows: (from: string) => AsyncGenerator<SourceRow>
  close: () => Promise<void>
}

const batchRows = 2000
/** Refused rows, and gone ones, that a report lists of each kind. */
const mostListed = 1000

/** Opens the old side. Rejects where an environment variable is missing or the database cannot be reached. */
export async function openSource({ source }: Mapping, directory: string): Promise<Source> {
  if ('csv' in source) {
    const folder = path.resolve(directory, source.csv)
    return { rows: (from) => csvRows(path.join(folder, from)), close: () => Promise.resolve() }
  }
  const variable = source.url.startsWith('$') ? source.url.slice(1) : undefined
  const url = variable === undefined ? source.url : environmentVariable(variable)
  if (!url)
    throw new Error(
      `The environment variable ${String(variable)}, which the mapping file names as the old database's URL, is not set`,
    )
  try {
    return await openOldDatabase(url)
  } catch (error) {
    throw new Error(
      `The old database cannot be reached: ${error instanceof Error ? error.message : String(error)}. Correct source.url of the mapping file.`,
      { cause: error },
    )
  }
}

/**
 * A column that is missing is missing in each row: that is the mapping's fault, and no reason to refuse them
 * all.
 */
function refuseUnknownColumns(
  name: KindName,
  columns: KindMapping['columns'],
  values: SourceRow['values'],
): void {
  const missing = Object.entries(columns).find(([, from]) => !(from in values))
  if (missing)
    throw new GatewayError(
      'validation_failed',
      `${name}: the old side has no column ${missing[1]}, which the mapping file names for ${missing[0]}. It has ${Object.keys(values).join(', ')}`,
    )
}

/**
 * Returns how the rows of one kind are read: as ours, with the reason where a row cannot be taken: what can
 * be read of it still says that it is there.
 */
function readerOf(name: KindName, { columns, defaults }: KindMapping): (source: SourceRow) => StagedRow {
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
      const read = readValue(
        type,
        given === undefined || given === null || given === '' ? defaults[column] : given,
      )
      if ('fault' in read) {
        staged.reason ??= `${column}: ${read.fault}`
        continue
      }
      const value: Value = read.value ?? fallback
      if (value === null && required) staged.reason ??= `${column}: is empty`
      staged[column] = value
    }
    if (name === 'mandates' && staged.reason === undefined && !mapped.includes('slug'))
      staged.slug = slugFrom(String(staged.label))
    return staged
  }
}

/** What fails on the old side is told as it is: it says nothing of the database here. */
async function* rowsOf(source: Source, name: KindName, from: string): AsyncGenerator<SourceRow> {
  try {
    yield* source.rows(from)
  } catch (error) {
    throw new GatewayError(
      'validation_failed',
      `${name}: ${error instanceof Error ? error.message : String(error)}. Correct \`from\` of the mapping file, or what it names.`,
      { cause: error },
    )
  }
}

const nothingLeft = (name: KindName, rows: number, endable: number) =>
  new GatewayError(
    'validation_failed',
    `${name}: the old side has ${rows === 0 ? 'no rows' : 'no row whose key can be read'}, and ${endable} imported before would end. Nothing was changed. ` +
      `Correct the mapping file, or what it names; if all of them are to end, say so: --end-all ${name}`,
  )

/** Reads all rows of one kind, as they are. */
async function stageKind(
  tx: CoherentTx,
  name: KindName,
  given: KindMapping,
  source: Source,
): Promise<Staged> {
  // A person who is gone is disabled, and enabled again if they come back: also where the old side has no
  // such column.
  const mapping = name === 'users' ? { ...given, defaults: { enabled: true, ...given.defaults } } : given
  const stage = new Stage(
    name,
    Object.keys({ ...mapping.columns, ...mapping.defaults, ...(name === 'mandates' ? { slug: '' } : {}) }),
  )
  const read = readerOf(name, mapping)
  let rows = 0
  let batch: StagedRow[] = []
  await stage.open(tx)
  const flush = async () => {
    if (batch.length > 0) await stage.add(tx, batch)
    batch = []
  }
  for await (const one of rowsOf(source, name, mapping.from)) {
    rows += 1
    batch.push(read(one))
    if (batch.length >= batchRows) await flush()
  }
  await flush()
  await stage.resolve(tx)
  return { stage, rows }
}

/** What depends on a row ends before the row does. */
async function endAllGone(
  tx: CoherentTx,
  staged: Staged[],
  options: GoneOptions,
  actor: Actor,
): Promise<void> {
  await beginGone(tx)
  for (const { stage, rows } of staged.toReversed()) {
    const endable = await findGone(tx, stage, options.endGone)
    if (!options.endGone) continue
    if (endable > 0 && !options.endAll.includes(stage.name) && (await stage.countKeys(tx)) === 0)
      throw nothingLeft(stage.name, rows, endable)
    await endGone(tx, stage.name, stage.keyText('t'), actor)
  }
  if (options.endGone) await signOutGone(tx)
}

/**
 * Imports all that the mapping names, in one transaction: all of it is made, or nothing. Refused rows are
 * left out.
 */
export async function runImport(
  tx: CoherentTx,
  mapping: Mapping,
  source: Source,
  { actor, ...options }: { actor: Actor } & GoneOptions,
): Promise<Report> {
  await beginImport(tx)
  const report: Report = {
    kinds: {},
    sessionsOfTokens: 0,
    refused: [],
    refusedBeyond: 0,
    gone: [],
    goneBeyond: 0,
  }
  const staged: Staged[] = []
  for (const name of kindNames) {
    const of = mapping[name]
    if (of) staged.push(await stageKind(tx, name, of, source))
  }
  await endAllGone(tx, staged, options, actor)
  for (const { stage, rows } of staged) {
    if (stage.name === 'tokens') report.sessionsOfTokens = await insertSessionsOfTokens(tx)
    await stage.check(tx)
    await stage.merge(tx)
    const counts = { read: rows, ...(await stage.count(tx)), ...(await countGone(tx, stage.name)) }
    const [refused, gone] = [
      await stage.listRefused(tx, mostListed),
      await listGone(tx, stage.name, mostListed),
    ]
    report.kinds[stage.name] = counts
    report.refused.push(...refused)
    report.refusedBeyond += counts.refused - refused.length
    report.gone.push(...gone)
    report.goneBeyond += counts.gone + counts.ended - gone.length
  }
  const changed = Object.values(report.kinds).some(({ made, updated, ended }) => made + updated + ended > 0)
  if (changed)
    await recordChange(tx, {
      actor,
      mandateId: 'system',
      action: 'directory_imported',
      subject: 'import',
      after: { kinds: report.kinds, sessionsOfTokens: report.sessionsOfTokens },
    })
  for (const { id, ...levels } of mapping.users ? await listAdminsMade(tx) : []) {
    await recordChange(tx, {
      actor,
      mandateId: 'system',
      action: 'user_created',
      subject: `user:${id}`,
      after: { ...levels, by: 'import' },
    })
  }
  return report
}
