import path from 'node:path'
import { hourMs } from '../../domain/time.js'
import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import { exitCodes } from '../../domain/exit-codes.js'
import type { GoneRow } from './gone-queries.js'
import { loadMapping, MappingError } from './mapping.js'
import { openSource, runImport, type GoneOptions, type Report } from './run-import.js'
import type { CommandResult } from '../routes-command.js'
import { asOperator, heard } from '../as-operator.js'
import { failed, said } from '../command-result.js'

interface Options extends GoneOptions {
  dryRun: boolean
  json: boolean
}

/** An import is one transaction, which may take longer than anything that a request waits for. */
const longestMs = hourMs

const columns = [
  'read',
  'made',
  'updated',
  'unchanged',
  'kept',
  'leftOut',
  'gone',
  'ended',
  'refused',
] as const

function goneLine({ kind, key, ended, reason }: GoneRow): string {
  return `${ended ? 'ended' : 'gone'}: ${kind}, ${key}${reason === null ? '' : `: left, as ${reason}`}`
}

function linesOf({ kinds, sessionsOfTokens, refused, refusedBeyond, gone, goneBeyond }: Report): string[] {
  const table = [
    ['', ...columns.map((column) => (column === 'leftOut' ? 'left out' : column))],
    ...Object.entries(kinds).map(([name, counts]) => [
      name,
      ...columns.map((column) => String(counts[column])),
    ]),
  ]
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? []
  return [
    ...table.map((cells) =>
      cells
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    ),
    ...(sessionsOfTokens > 0
      ? [
          `${sessionsOfTokens} sessions ${sessionsOfTokens === 1 ? 'is' : 'are'} made for tokens.`.replace(
            '1 sessions',
            '1 session',
          ),
        ]
      : []),
    ...refused.map(({ kind, row, reason }) => `refused: ${kind}, row ${row}: ${reason}`),
    ...(refusedBeyond > 0 ? [`… and ${refusedBeyond} more that were refused`] : []),
    ...gone.map(goneLine),
    ...(goneBeyond > 0 ? [`… and ${goneBeyond} more that are not on the old side any more`] : []),
  ]
}

/** `import`: moves people and what they may do here from the database or the files of an older system. */
export async function importDirectory(
  file: string,
  { dryRun, json, endGone, endAll }: Options,
): Promise<CommandResult> {
  try {
    if (endAll.length > 0 && !endGone) throw new Error('--end-all ends nothing by itself. Add --end-gone.')
    const mapping = await loadMapping(file)
    return await asOperator(
      async ({ commitAndAwaitNodes, performDryRun, actor }) => {
        const startedAt = performance.now()
        const source = await openSource(mapping, path.dirname(file))
        try {
          const work = (tx: CoherentTx) => runImport(tx, mapping, source, { actor, endGone, endAll })
          const made = dryRun ? { result: await performDryRun(work) } : await commitAndAwaitNodes(work)
          const { result } = made
          const isWhole = result.refused.length === 0
          const seconds = Math.round((performance.now() - startedAt) / 100) / 10
          const end =
            'coherence' in made
              ? `Done in ${seconds} s. ${heard(made.coherence)}`
              : `Nothing was changed: this was a dry run of ${seconds} s.`
          return said(
            isWhole ? exitCodes.ok : exitCodes.no,
            json,
            { dryRun, ...result, seconds, ...('coherence' in made ? { coherence: made.coherence } : {}) },
            [...linesOf(result), end],
          )
        } finally {
          await source.close()
        }
      },
      { timeoutMs: longestMs },
    )
  } catch (error) {
    return error instanceof MappingError
      ? { exitCode: exitCodes.configuration, stdout: '', stderr: `${error.faults.join('\n')}\n` }
      : failed(error)
  }
}
