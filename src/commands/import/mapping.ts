import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { readYaml } from '../../domain/yaml-faults.js'
import { kindNames, kinds, type Column, type Kind, type KindName } from './kinds.js'

/** A mapping file cannot be used; `faults` lists everything wrong with it, by file and line. */
export class MappingError extends Error {
  constructor(readonly faults: string[]) {
    super(`The mapping file cannot be used:\n${faults.map((one) => `  ${one}`).join('\n')}`)
    this.name = 'MappingError'
  }
}

/**
 * Columns of one kind that a mapping may name: the table's own, and those by which another row can be named.
 */
export function columnsOf({ columns, via }: Kind): Record<string, Column> {
  const named = Object.fromEntries(
    (via?.by ?? []).map((column): [string, Column] => [column, { type: 'uuid' }]),
  )
  return { ...columns, ...named }
}

/**
 * Whether a mapping may leave out what the kind requires: a slug is made of the label, and a row may be named
 * by other columns.
 */
function isLeftOut(name: KindName, column: string, has: (column: string) => boolean): boolean {
  const { via } = kinds[name]
  return (name === 'mandates' && column === 'slug') || (via?.column === column && via.by.every(has))
}

const scalar = z.union([z.string(), z.number(), z.boolean()], 'must be a text, a number, true or false')

function kindSchema(name: KindName) {
  const known = columnsOf(kinds[name])
  return z
    .strictObject({
      from: z
        .string('must be a table, a query that begins with select or with, or a CSV file')
        .min(1, 'must not be empty'),
      columns: z.record(
        z.string(),
        z.string('must be the name of a column of the old side').min(1, 'must not be empty'),
      ),
      defaults: z.record(z.string(), scalar).default({}),
    })
    .superRefine(({ columns, defaults }, ctx) => {
      for (const [field, given] of Object.entries({ columns, defaults })) {
        for (const one of Object.keys(given).filter((column) => !Object.hasOwn(known, column))) {
          ctx.addIssue({
            code: 'custom',
            path: [field, one],
            message: `is no column of ${name}: it has ${Object.keys(known).join(', ')}`,
          })
        }
      }
      const has = (one: string) => one in columns || one in defaults
      for (const [one, { required }] of Object.entries(kinds[name].columns)) {
        if (required && !has(one) && !isLeftOut(name, one, has))
          ctx.addIssue({ code: 'custom', path: ['columns'], message: `needs ${one}, here or under defaults` })
      }
    })
}

const source = z.union(
  [
    z.strictObject({ url: z.string().regex(/^(?:\$\w+|postgres(?:ql)?:\/\/.+)$/) }),
    z.strictObject({ csv: z.string().min(1) }),
  ],
  'must be { url: $OLD_DATABASE_URL }, with the name of an environment variable, or { csv: FOLDER }',
)

const mappingSchema = z.strictObject({
  source,
  ...(Object.fromEntries(kindNames.map((name) => [name, kindSchema(name).optional()])) as Record<
    KindName,
    z.ZodOptional<ReturnType<typeof kindSchema>>
  >),
})

/** Where rows of one kind come from, and what becomes of their columns. */
export type KindMapping = z.infer<ReturnType<typeof kindSchema>>
export type Mapping = z.infer<typeof mappingSchema>

/** Parses a mapping file. Throws a MappingError that lists every fault with `file` and line. */
export function parseMapping(text: string, file: string): Mapping {
  const read = readYaml(text, file, mappingSchema)
  if ('faults' in read) throw new MappingError(read.faults)
  if (!kindNames.some((name) => read.data[name]))
    throw new MappingError([`${file}:1: maps nothing: name at least one of ${kindNames.join(', ')}`])
  return read.data
}

/** Reads a mapping file. Throws a MappingError. */
export async function loadMapping(file: string): Promise<Mapping> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new MappingError([`${file}: ${error instanceof Error ? error.message : String(error)}`])
  })
  return parseMapping(text, file)
}
