import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

type Schema = { $ref?: string; properties?: Record<string, Schema>; anyOf?: Schema[] }
interface Operation {
  parameters?: { in: string; name: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
type Method = 'get' | 'post' | 'patch' | 'put' | 'delete'

// What comes anew is written down there from its declaration, and tried, too.
const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<Method, Operation>>
  components: { schemas: Record<string, Schema> }
}
const resolved = (schema: Schema): Schema =>
  schema.$ref === undefined
    ? schema
    : (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})
const endpoints = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ method: method as Method, path, operation })),
)

/** Who may call it, so that more than the refusal is tried. */
const callerOf = (path: string) =>
  path.startsWith('/system')
    ? ('root' as const)
    : path.startsWith('/admin')
      ? ('petra' as const)
      : ('alice' as const)

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_USER: 'off' } })
})
afterAll(async () => {
  await gateway.stop()
})

const values: unknown[] = [
  null,
  true,
  -1,
  1e21,
  '',
  'x',
  '\0',
  '\uD800',
  '2026-13-45T99:00:00Z',
  '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
  'x'.repeat(20_000),
  [],
  [null],
  {},
  { x: { y: [] } },
]
const whole = [
  '',
  '{',
  'null',
  '[]',
  '"x"',
  '7',
  `${'['.repeat(100)}${']'.repeat(100)}`,
  '{"__proto__":{"x":1},"constructor":{"prototype":{}}}',
]
const texts = [
  '',
  'x',
  '-1',
  '0',
  '99999999999999999999',
  '%00',
  '%ED%A0%80',
  '%F0%9F%98%80',
  '2026-13-45',
  '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '9999-12-31',
  'x'.repeat(2000),
  '%25'.repeat(200),
]
/** Cursors of other lists, or of nobody's. */
const cursors = [
  '"1"',
  '"99999999999999999999"',
  '{}',
  JSON.stringify(JSON.stringify(['a', 'b'])),
  JSON.stringify(JSON.stringify([null, null])),
  JSON.stringify(JSON.stringify(['9999999-01-01', '\0'])),
  JSON.stringify(`${randomUUID()}\0`),
].map((text) => Buffer.from(text).toString('base64url'))
const ids = ['x', '%00', '%F0%9F%98%80', '0'.repeat(36), 'x'.repeat(2000)]

/**
 * A run tries every third value of a field or parameter, each one others; `npm run test:exhaustive` tries
 * all.
 */
const share = process.env.WRONG_INPUTS === 'all' ? 1 : 3
let turn = 0
function sample<T>(all: T[]): T[] {
  turn += 1
  return all.filter((_, index) => (index + turn) % share === 0)
}

interface Try {
  path: string
  body?: string
  headers?: Record<string, string>
}

function* triesOf(method: Method, pattern: string, operation: Operation): Generator<Try> {
  const json = { 'Content-Type': 'application/json' }
  const path = pattern.replace(/\{\w+\}/g, () => randomUUID())
  const types = Object.entries(operation.requestBody?.content ?? {})
  if (pattern.includes('{'))
    for (const id of ids)
      yield {
        path: pattern.replace(/\{\w+\}/g, id),
        ...(types.length > 0 ? { body: '{}', headers: json } : {}),
      }
  for (const { name } of (operation.parameters ?? []).filter((one) => one.in === 'query')) {
    for (const text of sample(name === 'cursor' ? [...texts, ...cursors] : texts))
      yield { path: `${path}?${name}=${text}`, ...(types.length > 0 ? { body: '{}', headers: json } : {}) }
    yield { path: `${path}?${name}=1&${name}=2` }
  }
  for (const [type, { schema }] of types) {
    const headers = { 'Content-Type': type }
    for (const body of whole) yield { path, body, headers }
    for (const name of Object.keys(resolved(schema).properties ?? {})) {
      for (const value of sample(values))
        yield {
          path,
          headers,
          body:
            type === 'application/json'
              ? JSON.stringify({ [name]: value })
              : new URLSearchParams({ [name]: String(value) }).toString(),
        }
    }
    for (const wrong of [
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/json; charset=utf-16',
      'application/x-www-form-urlencoded',
    ])
      yield { path, body: '--x', headers: { 'Content-Type': wrong } }
  }
  yield { path: `${path}?__proto__=1&constructor=2` }
  yield {
    path,
    headers: { 'If-Match': '"x', 'X-Instance-Id': 'x' },
    ...(method === 'get' ? {} : { body: '{}' }),
  }
}

interface Problem {
  code?: unknown
  status?: unknown
  requestId?: unknown
  error?: unknown
}

/** What is wrong with an answer; undefined where nothing is. */
function faultOf(status: number, type: string, text: string): string | undefined {
  if (status >= 500) return 'a fault of the gateway'
  if (
    /\bat .*\.[jt]s:\d|node_modules|postgres(?:ql)?:\/\/|syntax error|invalid input syntax|violates/.test(
      text,
    )
  )
    return 'it tells what is inside'
  if (status < 400 || type.startsWith('text/html')) return undefined
  if (text === '') return undefined
  const { code, status: said, requestId, error } = JSON.parse(text) as Problem
  if (type.startsWith('application/problem+json'))
    return typeof code === 'string' && said === status && typeof requestId === 'string'
      ? undefined
      : 'it is no problem as it should be'
  return typeof error === 'string' ? undefined : 'it has no error'
}

describe('no input makes an endpoint hang or fail with a fault of the gateway:', () => {
  it.each(endpoints.map((one) => [`${one.method} ${one.path}`, one] as const))(
    '%s',
    async (_name, { method, path: pattern, operation }) => {
      const caller = callerOf(pattern)
      let { token } = await tokenFor(gateway.database, caller)
      const faults: string[] = []
      const ask = async ({ path, body, headers }: Try, credentials: Record<string, string>) => {
        const answer = await fetch(gateway.url + path, {
          method: method.toUpperCase(),
          redirect: 'manual',
          headers: { ...headers, ...credentials },
          ...(body === undefined || method === 'get' ? {} : { body }),
        })
        const text = await answer.text()
        const fault = faultOf(answer.status, answer.headers.get('content-type') ?? '', text)
        if (fault !== undefined)
          faults.push(
            `${fault}: ${path.slice(0, 120)} ${body?.slice(0, 120) ?? ''}: ${answer.status} ${text.slice(0, 200)}`,
          )
        return answer.status
      }
      const tries = [...triesOf(method, pattern, operation)]
      for (const one of tries) {
        const status = await ask(one, {
          Authorization: `Bearer ${token}`,
          ...(pattern.startsWith('/mandate') ? { 'X-Mandate-Id': mandates.acme } : {}),
        })
        if (status === 401) ({ token } = await tokenFor(gateway.database, caller)) // it signed itself out
      }
      for (const one of tries.slice(-5)) await ask(one, {})
      expect(faults).toEqual([])
    },
    60_000,
  )
})
