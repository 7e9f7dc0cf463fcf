import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileOf } from './kubernetes-schemas.js'

/** @typedef {import('./kubernetes-schemas.js').Schema} Schema */

const kubernetes = {
  'metav1.ObjectMeta': 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
  'metav1.LabelSelector': 'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
  'v1.SecretKeySelector': 'io.k8s.api.core.v1.SecretKeySelector',
  'v1.ConfigMapKeySelector': 'io.k8s.api.core.v1.ConfigMapKeySelector',
}
const builtIn = {
  string: 'string',
  bool: 'boolean',
  int: 'integer',
  int32: 'integer',
  int64: 'integer',
  uint64: 'integer',
  float64: 'number',
}
const hasOwn = Object.hasOwn

/** Returns the schema of a type as Go writes it. @param {string} type @returns {Schema} */
function schemaOf(type) {
  if (type.startsWith('*')) return schemaOf(type.slice(1))
  if (type.startsWith('[]')) return { type: 'array', items: schemaOf(type.slice(2)) }
  if (type.startsWith('map[string]'))
    return { type: 'object', additionalProperties: schemaOf(type.slice(11)) }
  if (hasOwn(builtIn, type)) return { type: builtIn[/** @type {keyof typeof builtIn} */ (type)] }
  if (hasOwn(kubernetes, type))
    return { $ref: `#/definitions/${kubernetes[/** @type {keyof typeof kubernetes} */ (type)]}` }
  return type.includes('.') ? {} : { $ref: `#/definitions/monitoring.${type}` }
}

const field = /^\t(?:(\w+) )?(\S+)\s+`json:"([^"]*)"/
const struct = /^type (\w+) struct \{\n([^}]*)\n\}/gm
const named = /^type (\w+) (string|\[\]\w+|int32|bool)$/gm

/** Returns fields and embedded types of a struct. @param {string} body */
function fieldsOf(body) {
  const fields = body
    .split('\n')
    .map((line) => field.exec(line))
    .filter((found) => found !== null)
  const isInline = (/** @type {string} */ tag) => tag.split(',').includes('inline')
  return {
    own: fields
      .filter(([, , , tag = '']) => !isInline(tag))
      .map(([, , type = '', tag = '']) => ({
        name: tag.split(',')[0] ?? '',
        type,
        isRequired: !tag.includes(',omitempty') && !tag.includes(',omitzero'),
      })),
    embedded: fields
      .filter(([, , , tag = '']) => isInline(tag))
      .map(([, , type = '']) => type.replace('*', '')),
  }
}

/**
 * Returns strict schemas of ServiceMonitor and PrometheusRule by file, and the types that they refer to. They
 * are made from the Go types of the Prometheus operator: the module of its API holds no schemas.
 * @param {string} folder of the module
 */
export async function monitoringSchemas(folder) {
  const types = path.join(folder, 'v1')
  const files = (await readdir(types)).filter(
    (file) => file.endsWith('.go') && !file.includes('_test') && !file.startsWith('zz_'),
  )
  const source = (await Promise.all(files.map((file) => readFile(path.join(types, file), 'utf8'))))
    .join('\n')
    .replaceAll(/^\s*\/\/.*\n/gm, '')
  const structs = new Map(
    [...source.matchAll(struct)].map(([, name = '', body = '']) => [name, fieldsOf(body)]),
  )
  /** @returns {{ name: string, type: string, isRequired: boolean }[]} */
  const allFields = (/** @type {string} */ name) => {
    const { own = [], embedded = [] } = structs.get(name) ?? {}
    return [...own, ...embedded.flatMap(allFields)]
  }
  const objectOf = (/** @type {string} */ name) => {
    const fields = allFields(name)
    return {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(fields.map((one) => [one.name, schemaOf(one.type)])),
      required: fields.filter(({ isRequired }) => isRequired).map((one) => one.name),
    }
  }
  const definitions = Object.fromEntries([
    ...[...source.matchAll(named)].map(([, name = '', type = '']) => [`monitoring.${name}`, schemaOf(type)]),
    ...[...structs.keys()].map((name) => [`monitoring.${name}`, objectOf(name)]),
  ])
  const resource = (/** @type {string} */ kind) => ({
    type: 'object',
    additionalProperties: false,
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: schemaOf('metav1.ObjectMeta'),
      spec: schemaOf(`${kind}Spec`),
    },
  })
  return {
    definitions,
    schemas: ['ServiceMonitor', 'PrometheusRule'].map(
      (kind) =>
        /** @type {[string, Schema]} */ ([fileOf(kind, 'monitoring.coreos.com', 'v1'), resource(kind)]),
    ),
  }
}
