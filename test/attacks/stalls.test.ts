import { Agent } from 'node:http'
import { performance } from 'node:perf_hooks'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { sendRequest, type RequestOptions } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

interface Schema {
  $ref?: string
  type?: string
  properties?: Record<string, Schema>
  anyOf?: Schema[]
  oneOf?: Schema[]
  items?: Schema
}
interface Operation {
  parameters?: { in: string; name: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}

// What comes anew is written down there from its declaration, and tried, too.
const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
)
const resolved = (schema: Schema): Schema =>
  schema.$ref === undefined
    ? schema
    : (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})

/** As long as a head may nearly be: what takes time in the square of it takes seconds. */
const headLength = 28_000
/** A quadratic body of this length takes ten seconds. */
const bodyLength = 60_000
/**
 * The longest that an event loop may stand still. Quadratic time at `headLength` is 2000 ms and more; parsing
 * a megabyte is 20.
 */
const longestStallMs = 250

const repeat = (begin: string, pump: string, end: string) => (length: number) =>
  begin + pump.repeat(Math.floor(length / pump.length)) + end
/**
 * Long texts that make patterns and parsers try again: a pump, behind what begins a value, before what does
 * not end one.
 */
const attacks: ((length: number) => string)[] = [
  repeat('', ' ', 'x y'),
  repeat('a', '\t', 'x\ty'),
  repeat('', 'a', '!'),
  repeat('', '0', 'x'),
  repeat('', '-', '!'),
  repeat('a', '.a', '!'),
  repeat('', 'a,', '!'),
  repeat('', ';a=', '"'),
  repeat('', '"\\', ''),
  repeat('', 'a@', '!'),
  repeat('https://', 'a.', '!'),
  repeat('', '[', ''),
]
const scheme = (name: string) => attacks.map((attack) => (length: number) => `${name} ${attack(length)}`)

/** Headers that a gateway reads, and the texts tried in each. */
const headers: Record<string, ((length: number) => string)[]> = {
  authorization: [...scheme('Basic'), ...scheme('Bearer')],
  cookie: attacks.flatMap((attack) =>
    ['auth_token=', 'refresh_token=', 'portal_session=', ''].map(
      (name) => (length: number) => name + attack(length),
    ),
  ),
  'x-mandate-id': attacks,
  'x-instance-id': attacks,
  'x-forwarded-for': attacks,
  'x-forwarded-proto': attacks,
  'x-forwarded-host': attacks,
  forwarded: attacks,
  traceparent: attacks,
  tracestate: attacks,
  'x-request-id': attacks,
  origin: attacks,
  'sec-fetch-site': attacks,
  'sec-fetch-mode': attacks,
  accept: attacks,
  'accept-language': attacks,
  'accept-encoding': attacks,
  'content-type': [
    ...attacks,
    ...attacks.map((attack) => (length: number) => `application/json; charset=${attack(length)}`),
  ],
  'content-encoding': attacks,
  'if-match': attacks,
  'if-none-match': attacks,
  range: attacks,
  'user-agent': attacks,
  referer: attacks,
  via: attacks,
}

function filled(given: Schema, text: string, depth = 0): unknown {
  const schema = resolved(given)
  if (depth > 4) return text
  if (schema.properties)
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, one]) => [name, filled(one, text, depth + 1)]),
    )
  const [choice] = (schema.anyOf ?? schema.oneOf ?? []).filter((one) => one.type !== 'null')
  if (choice) return filled(choice, text, depth + 1)
  return schema.items ? [filled(schema.items, text, depth + 1)] : text
}

let gateway: TestGateway
let agent: Agent
let token: string

beforeAll(async () => {
  gateway = await startTestGateway({
    demoUpstream: true,
    environment: { TRUST_PROXY: '1' },
    routes: `
upstreams: { crm: { targets: [demo] } }
routes:
  /api/crm:
    { upstream: crm, auth: optional, mandate: optional, instance: optional,
      mandateFrom: [header, query, path, host, subprotocol] }
`,
  })
  token = (await tokenFor(gateway.database, 'root')).token
  agent = new Agent({ keepAlive: true, maxSockets: 1 })
})
afterAll(async () => {
  agent.destroy()
  await gateway.stop()
})

/**
 * How long (ms) the event loop was busy while a request was answered: no stall is longer. It is asked again
 * if that is long: the machine may have been busy.
 */
async function stallOf(path: string, question: RequestOptions): Promise<number> {
  let shortest = Infinity
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const before = performance.eventLoopUtilization()
    // a head that is too long closes the connection
    await sendRequest(gateway.url, path, { ...question, agent }).catch(() => undefined)
    shortest = Math.min(shortest, performance.eventLoopUtilization(before).active)
    if (shortest <= longestStallMs) break
  }
  return shortest
}

const bearer = () => ({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme })
const concrete = (path: string) => path.replace(/\{\w+\}/g, '00000000-0000-4000-8000-000000000999')

async function stallsOf(
  tries: Iterable<[what: string, path: string, question: RequestOptions]>,
): Promise<string[]> {
  const stalls: string[] = []
  for (const [what, path, question] of tries) {
    const ms = await stallOf(path, question)
    if (ms > longestStallMs)
      stalls.push(`${question.method ?? 'GET'} ${path.slice(0, 60)}: ${what}: ${Math.round(ms)} ms`)
    if (stalls.length > 3) break
  }
  return stalls
}

function* bodyTries(): Generator<[string, string, RequestOptions]> {
  for (const { method, path, operation } of operations) {
    for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
      for (const [index, attack] of attacks.entries()) {
        const fields = Object.keys(resolved(schema).properties ?? { '': 1 }).length
        const value = filled(schema, attack(Math.floor(Math.min(bodyLength, 200_000 / Math.max(1, fields)))))
        const body =
          type === 'application/json'
            ? JSON.stringify(value)
            : new URLSearchParams(value as Record<string, string>).toString()
        yield [
          `${type} body, text ${index}`,
          concrete(path),
          { method, body, headers: { 'Content-Type': type, ...bearer() } },
        ]
      }
    }
  }
}

function* parameterTries(): Generator<[string, string, RequestOptions]> {
  const seen = new Map<string, number>()
  for (const { method, path, operation } of operations) {
    const names = (operation.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => name)
    for (const name of [...names, '{}']) seen.set(name, (seen.get(name) ?? 0) + 1)
    // What has the same name is read by the same schema: a few texts do after the third.
    const isDue = (name: string, index: number) => index < 3 || (seen.get(name) ?? 0) <= 3
    for (const [index, attack] of attacks.entries()) {
      const text = encodeURIComponent(attack(Math.floor(headLength / 3)))
      if (path.includes('{') && isDue('{}', index))
        yield [`path, text ${index}`, path.replace(/\{\w+\}/, text), { method, headers: bearer() }]
      for (const name of names)
        if (isDue(name, index))
          yield [`${name}, text ${index}`, `${concrete(path)}?${name}=${text}`, { method, headers: bearer() }]
    }
  }
}

/** Every header at endpoints of each kind; those by which a caller says who they are, everywhere. */
function* headerTries(): Generator<[string, string, RequestOptions]> {
  const kinds = new Set([
    'POST /auth/token',
    'POST /auth/login',
    'GET /auth/verify',
    'POST /auth/introspect',
    'GET /auth/context',
    'GET /portal',
    'PATCH /mandate/roles/{id}',
    'GET /console',
    'GET /api/crm/echo',
  ])
  for (const { method, path } of [...operations, { method: 'GET', path: '/api/crm/echo' }]) {
    for (const [name, texts] of Object.entries(headers)) {
      const everywhere = name === 'authorization'
      if (!everywhere && !kinds.has(`${method} ${path}`)) continue
      for (const [index, attack] of texts.entries()) {
        if (everywhere && !kinds.has(`${method} ${path}`) && index % attacks.length > 1) continue
        const known = name === 'authorization' || name === 'cookie' ? {} : bearer()
        const body = method === 'GET' ? {} : { body: 'grant_type=client_credentials&token=x' }
        yield [
          `${name}, text ${index}`,
          concrete(path),
          {
            method,
            ...body,
            headers: {
              'Content-Type': 'application/x-www-form-urlencoded',
              ...known,
              [name]: attack(headLength),
            },
          },
        ]
      }
    }
  }
}

it('no body field of any endpoint, however long, stops the event loop', async () => {
  expect(await stallsOf(bodyTries())).toEqual([])
}, 240_000)

it('no path or query parameter of any endpoint, however long, stops the event loop', async () => {
  expect(await stallsOf(parameterTries())).toEqual([])
}, 240_000)

it('no header, however long, stops the event loop', async () => {
  expect(await stallsOf(headerTries())).toEqual([])
}, 240_000)
