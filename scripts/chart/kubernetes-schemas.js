import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { parse } from 'yaml'

/** @typedef {{ [key: string]: unknown }} Schema */
/**
 * @typedef {{ scalar?: string, namedType?: string, list?: { elementType: Type }, map?: { fields?: { name:
 * string, type: Type }[], elementType?: Type } }} Type
 */

const scalars = { string: 'string', boolean: 'boolean', numeric: 'number' }
const refTo = (/** @type {string} */ name) => ({ $ref: `#/definitions/${name}` })

/**
 * Returns the JSON schema of a type of Kubernetes's structured schema. @param {Type} type @param {string[]}
 * required @returns {Schema}
 */
function schemaOf(type, required = []) {
  const { scalar, namedType, list, map } = type
  if (scalar === 'untyped') return {}
  if (namedType?.startsWith('__untyped')) return {}
  if (namedType !== undefined) return refTo(namedType)
  if (scalar !== undefined) return { type: scalars[/** @type {keyof typeof scalars} */ (scalar)] }
  if (list) return { type: 'array', items: schemaOf(list.elementType) }
  if (map?.fields === undefined)
    return { type: 'object', additionalProperties: map?.elementType ? schemaOf(map.elementType) : {} }
  const properties = Object.fromEntries(map.fields.map(({ name, type: one }) => [name, schemaOf(one)]))
  return {
    type: 'object',
    properties,
    additionalProperties: false,
    required: required.filter((name) => name in properties),
  }
}

/**
 * Returns strict schemas of all types of the Kubernetes API, by name. Fields and their types are those of
 * client-go, which are of the newest version; which are required is what the older document of cli-runtime
 * says.
 * @param {{ clientGo: string, cliRuntime: string }} folders of the Go modules
 * @returns {Promise<Record<string, Schema>>}
 */
export async function kubernetesDefinitions({ clientGo, cliRuntime }) {
  const source = await readFile(path.join(clientGo, 'applyconfigurations/internal/internal.go'), 'utf8')
  const [, yaml] = /YAMLObject\(`([^`]*)`\)/.exec(source) ?? []
  if (yaml === undefined) throw new Error('client-go does not hold its schema where it is looked for')
  /** @type {{ types: ({ name: string } & Type)[] }} */
  const { types } = parse(yaml)
  /** @type {{ definitions: Record<string, { required?: string[] }> }} */
  const { definitions } = JSON.parse(
    await readFile(path.join(cliRuntime, 'artifacts/openapi/swagger.json'), 'utf8'),
  )
  return Object.fromEntries(
    types.map(({ name, ...type }) => [name, schemaOf(type, definitions[name]?.required)]),
  )
}

/**
 * Returns the definitions that `schema` refers to, directly or not.
 * @param {Schema} schema @param {Record<string, Schema>} all
 */
function reachable(schema, all) {
  /** @type {Record<string, Schema>} */
  const found = {}
  const look = (/** @type {Schema} */ one) => {
    for (const [, name = ''] of JSON.stringify(one).matchAll(/"#\/definitions\/([^"]+)"/g)) {
      if (name in found) continue
      const definition = all[name]
      if (!definition) throw new Error(`no schema describes ${name}`)
      found[name] = definition
      look(definition)
    }
  }
  look(schema)
  return found
}

/** Returns a schema that stands alone. @param {Schema} schema @param {Record<string, Schema>} all */
export const standalone = (schema, all) => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  ...schema,
  definitions: reachable(schema, all),
})

/**
 * Returns where kubeconform looks for a schema: `deployment-apps-v1.json`.
 * @param {string} kind @param {string} group @param {string} version
 */
export const fileOf = (kind, group, version) =>
  `${[kind, ...(group === '' ? [] : [group.split('.')[0]]), version].join('-').toLowerCase()}.json`
