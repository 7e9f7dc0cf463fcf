import { parse } from 'yaml'

/** The part of JSON Schema that the page shows. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  format?: string
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  pattern?: string
  default?: unknown
  additionalProperties?: boolean | Schema
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  description?: string
  schema?: Schema
}

type Content = Record<string, { schema?: Schema }>

export interface Operation {
  method: string
  path: string
  summary: string
  description?: string
  tag: string
  isPublic: boolean
  parameters: Parameter[]
  body?: Content
  responses: Record<string, { description?: string; content?: Content }>
}

export interface Description {
  title: string
  version: string
  operations: Operation[]
  schemas: Record<string, Schema>
}

/** Ends that each stand alone below the root. */
const forOperators = new Set(['healthz', 'readyz', 'metrics', '.well-known', 'openapi.yaml'])

interface Written {
  info: { title: string; version: string }
  paths: Record<
    string,
    Record<
      string,
      {
        summary?: string
        description?: string
        tags?: string[]
        security?: unknown[]
        parameters?: Parameter[]
        requestBody?: { content: Content }
        responses?: Operation['responses']
      }
    >
  >
  components?: { schemas?: Record<string, Schema> }
}

/** Reads `/openapi.yaml`. */
export async function loadDescription(): Promise<Description> {
  const response = await fetch('/openapi.yaml')
  if (!response.ok) throw new Error(`/openapi.yaml answered ${response.status}`)
  const { info, paths, components } = parse(await response.text()) as Written
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]): Operation => ({
      method,
      path,
      summary: one.summary ?? '',
      ...(one.description ? { description: one.description } : {}),
      tag: forOperators.has(one.tags?.[0] ?? '') ? 'operations' : (one.tags?.[0] ?? 'operations'),
      isPublic: one.security?.length === 0,
      parameters: one.parameters ?? [],
      ...(one.requestBody ? { body: one.requestBody.content } : {}),
      responses: one.responses ?? {},
    })),
  )
  operations.sort((a, b) => Number(a.tag === 'operations') - Number(b.tag === 'operations'))
  return { title: info.title, version: info.version, operations, schemas: components?.schemas ?? {} }
}

/** Returns the schema that a reference points to. */
export function resolve(schema: Schema, { schemas }: Description): Schema {
  const name = schema.$ref?.split('/').at(-1)
  return (name === undefined ? undefined : schemas[name]) ?? schema
}

/** Returns the name of a schema, its type, or its choices. */
export function nameOf(schema: Schema): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1) ?? ''
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map(nameOf).join(' | ')
  if (schema.items) return `${nameOf(schema.items)}[]`
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? 'any')
  return schema.format ? `${type} (${schema.format})` : type
}

/** Returns an example body with each required field. */
export function exampleOf(given: Schema, description: Description, depth = 0): unknown {
  const schema = resolve(given, description)
  if (schema.default !== undefined) return schema.default
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  const choice = (schema.anyOf ?? schema.oneOf ?? schema.allOf)?.[0]
  if (choice) return exampleOf(choice, description, depth)
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'object') {
    const wanted = Object.entries(schema.properties ?? {}).filter(
      ([name]) => depth === 0 || schema.required?.includes(name),
    )
    return Object.fromEntries(wanted.map(([name, one]) => [name, exampleOf(one, description, depth + 1)]))
  }
  if (type === 'array') return []
  if (type === 'boolean') return true
  if (type === 'integer' || type === 'number') return 0
  return ''
}
