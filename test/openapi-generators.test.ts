import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { openapiEndpoints } from '../src/console/openapi-endpoints.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '..')

interface Operation {
  operationId?: string
  responses: Record<string, { content?: Record<string, { schema: unknown }> }>
}

/** Every value of this property, at any depth. */
function valuesOf(node: unknown, name: string): unknown[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => [
    ...(key === name ? [value as unknown] : []),
    ...valuesOf(value, name),
  ])
}

describe('the description that is made of the schemas', () => {
  let text: string
  let document: { paths: Record<string, Record<string, Operation>> }
  beforeAll(async () => {
    text = (
      await run(process.execPath, ['scripts/openapi.js', '--print'], {
        cwd: root,
        maxBuffer: 64 * 1024 * 1024,
      })
    ).stdout
    document = parse(text) as typeof document
  }, 60_000)

  it('has only patterns that every generator’s engine reads: no Unicode classes, no escapes but common ones', () => {
    const patterns = [...new Set(valuesOf(document, 'pattern'))].filter((one) => typeof one === 'string')
    expect(patterns.length).toBeGreaterThan(10)
    for (const pattern of patterns) {
      expect(() => new RegExp(pattern)).not.toThrow()
      expect([pattern, pattern.match(/\\(?!\\|[wds.\-+]|x[0-9a-f]{2}|u[0-9a-f]{4})./g)]).toEqual([
        pattern,
        null,
      ])
      // no groups with names, none that look ahead or behind
      expect([pattern, /\(\?(?!:)/.test(pattern)]).toEqual([pattern, false])
    }
  })

  it('names each operation once, so that generated functions have names', () => {
    const ids = Object.values(document.paths)
      .flatMap((operations) => Object.values(operations))
      .map(({ operationId }) => operationId)
    expect(ids.every((id) => /^[a-z][A-Za-z0-9]+$/.test(id ?? ''))).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('describes its own answer as what it is: YAML, as text', () => {
    expect(document.paths['/openapi.yaml']?.get?.responses['200']?.content).toEqual({
      'application/yaml': { schema: { type: 'string' } },
    })
    expect(openapiEndpoints().map(({ answers }) => answers)).toEqual([{ 200: 'application/yaml' }])
  })

  it('can be read by openapi-typescript', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-openapi-'))
    try {
      const file = path.join(folder, 'openapi.yaml')
      await writeFile(file, text)
      const { stdout } = await run(process.execPath, ['node_modules/openapi-typescript/bin/cli.js', file], {
        cwd: root,
        maxBuffer: 64 * 1024 * 1024,
      })
      expect(stdout).toContain('export interface operations')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }, 60_000)
})
