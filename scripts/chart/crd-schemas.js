import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { parseAllDocuments } from 'yaml'
import { fileOf } from './kubernetes-schemas.js'

/** @typedef {import('./kubernetes-schemas.js').Schema} Schema */
/**
 * @typedef {{ kind?: string, spec: { group: string, names: { kind: string }, versions: { name: string,
 * schema?: { openAPIV3Schema: Schema } }[] } }} Definition
 */

const objectMeta = { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }

/** Returns a schema of OpenAPI as strict JSON schema. @param {unknown} node @returns {unknown} */
function strict(node) {
  if (Array.isArray(node)) return node.map(strict)
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(node).filter(
    ([name]) => !name.startsWith('x-') && name !== 'description' && name !== 'format',
  )
  /** @type {Schema} */
  const made = Object.fromEntries(entries.map(([name, value]) => [name, strict(value)]))
  if ('x-kubernetes-int-or-string' in node) delete made.type
  if (
    made.type === 'object' &&
    'properties' in made &&
    !('x-kubernetes-preserve-unknown-fields' in node) &&
    !('additionalProperties' in made)
  )
    made.additionalProperties = false
  return made
}

/**
 * Returns the schemas of a custom resource, by file. @param {Definition} definition @returns {[string,
 * Schema][]}
 */
function schemasOf({ spec: { group, names, versions } }) {
  return versions.flatMap(({ name, schema }) => {
    if (!schema) return []
    const made = /** @type {Schema & { properties: Schema }} */ (strict(schema.openAPIV3Schema))
    return [
      [
        fileOf(names.kind, group, name),
        { ...made, properties: { ...made.properties, metadata: objectMeta } },
      ],
    ]
  })
}

/**
 * Returns the schemas of all custom resources that a folder defines, by file. @param {string} folder @returns
 * {Promise<[string, Schema][]>}
 */
export async function customResources(folder) {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'))
  const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')))
  // some lie in Helm charts
  const withoutTemplates = texts.map((text) => text.replaceAll(/^\s*\{\{.*\}\}$/gm, ''))
  const documents = withoutTemplates
    .filter((text) => text.includes('kind: CustomResourceDefinition'))
    .flatMap((text) => parseAllDocuments(text))
  const definitions = documents
    .map((document) => /** @type {Definition | null} */ (document.toJS()))
    .filter((one) => one?.kind === 'CustomResourceDefinition')
  return definitions.flatMap((one) => (one ? schemasOf(one) : []))
}
