import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { administrationOf, type Administration } from '../support/administration.js'
import { instances, mandates, roles, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { withoutRequestId } from '../support/problems.js'

type Schema = Record<string, unknown> & {
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
  type?: string
  enum?: unknown[]
  const?: unknown
  format?: string
  $ref?: string
}
interface Operation {
  parameters?: { in: string; name: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}

interface Endpoint {
  method: 'get' | 'post' | 'patch' | 'put' | 'delete'
  path: string
  body: Schema | undefined
  query: string[]
}

// What the gateway answers itself is written down from its endpoints: one that comes anew is tried, too.
const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<Endpoint['method'], Operation>>
  components: { schemas: Record<string, Schema> }
}
const resolved = (schema: Schema): Schema =>
  schema.$ref === undefined
    ? schema
    : (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})
const endpoints = Object.entries(document.paths)
  .filter(([path]) => path.startsWith('/mandate/'))
  .flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Endpoint => {
      const schema = operation.requestBody?.content['application/json']?.schema
      return {
        method: method as Endpoint['method'],
        path,
        body: schema && resolved(schema),
        query: (operation.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => name),
      }
    }),
  )

let gateway: TestGateway
let ask: Administration['ask']
/** Ids of everything that globex has, and acme has not. */
let foreign: string[]
beforeAll(async () => {
  gateway = await startTestGateway()
  ;({ ask } = administrationOf(gateway))
  const { sql } = gateway.database
  const directory = directoryOf(gateway.database)
  const { globex } = mandates
  const own = await directory.role({ mandateId: globex, rules: [{ item: 'x' }] })
  const stranger = await directory.user()
  const membership = await directory.join(stranger.id, globex, { roles: [own] })
  const access = await directory.grant(stranger.id, instances.globexCrm)
  const [client, project, link] = [randomUUID(), randomUUID(), randomUUID()]
  await sql(`insert into portal_clients (id, mandate_id, name, slug) values ($1, $2, 'Foreign', 'foreign')`, [
    client,
    globex,
  ])
  await sql(`insert into projects (id, mandate_id, name, client_id) values ($1, $2, 'Foreign', $3)`, [
    project,
    globex,
    client,
  ])
  await sql('insert into portal_access_tokens (id, client_id, token_hash) values ($1, $2, $3)', [
    link,
    client,
    'a'.repeat(64),
  ])
  const rules = await sql<{ id: string }>('select id from access_rules where role_id = $1', [own])
  foreign = [
    globex,
    instances.globexCrm,
    own,
    stranger.id,
    membership,
    access,
    client,
    project,
    link,
    rules[0]!.id,
  ]
})
afterAll(async () => {
  await gateway.stop()
})

/** Ids of acme's own, for the parameters that are not tried. */
const ownIds: Record<string, string> = {
  instances: instances.acmeCrm,
  access: users.bob,
  members: users.bob,
  roles: roles.acmeAdmin,
  projects: '00000000-0000-4000-8000-000000000301',
  'portal-clients': '00000000-0000-4000-8000-000000000501',
}

/** A path with an id for each parameter: of acme's own where it is not the one that is tried. */
function* paths({ path }: Endpoint, id: string): Generator<string> {
  const segments = path.split('/')
  const parameters = segments.flatMap((segment, index) => (segment.startsWith('{') ? [index] : []))
  for (const tried of parameters) {
    yield segments
      .map((segment, index) =>
        !segment.startsWith('{')
          ? segment
          : index === tried
            ? id
            : (ownIds[segments[index - 1] ?? ''] ?? randomUUID()),
      )
      .join('/')
  }
}

const isId = (name: string) => /(?:Id|Ids|^user|^role|^instance)$/.test(name)

/** Something that a schema takes, with `id` wherever it takes one. Undefined where it takes none. */
function bodyOf(endpoint: Endpoint, id: string): Record<string, unknown> | undefined {
  if (!endpoint.body) return undefined
  const schema = endpoint.body
  const value = ([name, field]: [string, Schema]): unknown => {
    const one = resolved(field)
    const kind = one.anyOf?.find(({ type }) => type !== 'null') ?? one
    if (isId(name)) return kind.type === 'array' ? [id] : id
    if (kind.const !== undefined || kind.enum) return kind.const ?? kind.enum?.[0]
    if (kind.type === 'array') return []
    return (
      {
        boolean: true,
        string: kind.format === 'email' ? 'a@example.com' : 'crm',
        integer: 1,
        number: 1,
        object: {},
      } as Record<string, unknown>
    )[kind.type ?? 'string']
  }
  const required = schema.required ?? []
  const fields = Object.entries(schema.properties ?? {}).filter(
    ([name]) => isId(name) || required.includes(name),
  )
  return fields.some(([name]) => isId(name)) || required.length > 0
    ? Object.fromEntries(fields.map((field) => [field[0], value(field)]))
    : {}
}

it('there is something to try', () => {
  expect(endpoints.length).toBeGreaterThanOrEqual(25)
  expect(foreign).toHaveLength(new Set(foreign).size)
})

const withPath = endpoints.filter(({ path }) => path.includes('{'))

it.each(withPath.map((one) => [`${one.method} ${one.path}`, one] as const))(
  '%s does not know the ids of another mandate',
  async (_name, endpoint) => {
    for (const id of foreign) {
      const unknown = randomUUID()
      const [there, nowhere] = [[...paths(endpoint, id)], [...paths(endpoint, unknown)]]
      for (const [index, path] of there.entries()) {
        const known = bodyOf(endpoint, roles.acmeAdmin)
        const [answer, other] = [
          await ask('alice', endpoint.method, path, { in: mandates.acme, body: known }),
          await ask('alice', endpoint.method, nowhere[index]!, { in: mandates.acme, body: known }),
        ]
        expect([path, answer.status]).toEqual([path, 404])
        expect(withoutRequestId(answer)).toBe(withoutRequestId(other))
      }
    }
  },
)

const withBody = endpoints.filter(
  (one) => one.body && JSON.stringify(bodyOf(one, 'THE-ID')).includes('THE-ID'),
)

it.each(withBody.map((one) => [`${one.method} ${one.path}`, one] as const))(
  '%s takes no ids of another mandate in its body',
  async (_name, endpoint) => {
    const before = await gateway.database.sql('select * from user_mandates order by id')
    for (const id of foreign) {
      // A user is nobody's: whoever governs a mandate may make anybody a member of it, by an id or a name that
      // they know.
      if (
        endpoint.path === '/mandate/members' &&
        (await gateway.database.sql('select from users where id = $1', [id])).length > 0
      )
        continue
      const unknown = randomUUID()
      const path = endpoint.path.replace(
        /([\w-]+)\/\{\w+\}/g,
        (_whole, collection: string) => `${collection}/${ownIds[collection] ?? randomUUID()}`,
      )
      const [answer, other] = [
        await ask('alice', endpoint.method, path, { in: mandates.acme, body: bodyOf(endpoint, id) }),
        await ask('alice', endpoint.method, path, { in: mandates.acme, body: bodyOf(endpoint, unknown) }),
      ]
      expect([200, 400, 404]).toContain(answer.status)
      expect(withoutRequestId(answer).replaceAll(id, 'ID')).toBe(
        withoutRequestId(other).replaceAll(unknown, 'ID'),
      )
    }
    expect(await gateway.database.sql('select * from user_mandates order by id')).toEqual(before)
  },
)

const lists = endpoints.filter(({ method, path }) => method === 'get' && !path.includes('{'))

it.each(lists.map((one) => [one.path, one] as const))(
  '%s lists nothing of another mandate, whatever it is asked',
  async (path, endpoint) => {
    const filters = endpoint.query.filter(isId)
    const answers = [await ask('alice', 'get', `${path}?limit=200`, { in: mandates.acme })]
    for (const filter of filters)
      for (const id of foreign)
        answers.push(await ask('alice', 'get', `${path}?${filter}=${id}`, { in: mandates.acme }))
    for (const { status, text } of answers) {
      expect([200, 400, 404]).toContain(status)
      expect(foreign.filter((id) => text.includes(id))).toEqual([])
    }
  },
)
