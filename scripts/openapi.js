/**
 * Writes openapi.yaml from the endpoints' own schemas; with --check only says whether it is up to date, with
 * --print writes it to the output. Run it after `npm run build`.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { z } from 'zod'
import { createDocument } from 'zod-openapi'
import { errorTable } from '../dist/errors.js'
import { ownEndpoints } from '../dist/gateway/endpoints.js'

const file = fileURLToPath(new URL('../openapi.yaml', import.meta.url))
const { version, description } = JSON.parse(
  await readFile(new URL('../package.json', import.meta.url), 'utf8'),
)

const problem = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(errorTable)),
    requestId: z.string(),
    errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
    reasons: z
      .array(
        z.strictObject({
          path: z.string().optional().meta({ description: 'the field, as in errors; absent for detail' }),
          code: z.string().meta({ description: 'stable, such as too_long: a key of reasons in locales/' }),
          values: z
            .record(z.string(), z.union([z.string(), z.number(), z.array(z.string())]))
            .meta({ description: 'what stands in the text, such as max; a list is a choice' }),
        }),
      )
      .optional()
      .meta({
        description:
          'detail and errors by code, for clients that translate them; with `Prefer: reasons` alone',
      }),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem document; `code` is stable, `requestId` names the request',
  })

const oauthError = z
  .strictObject({ error: z.string(), error_description: z.string() })
  .meta({ id: 'OAuthError', description: 'RFC 6749 section 5.2' })

const placeHeaders = z.object({
  'X-Mandate-Id': z.uuid().optional().meta({ description: 'the mandate that this request works in' }),
  'X-Instance-Id': z
    .uuid()
    .optional()
    .meta({ description: 'the feature instance that this request works in' }),
})

/**
 * Unicode classes as ranges: JSON Schema's patterns are read by engines that know no `\p{…}` (JSON Schema
 * 2020-12, core, 6.4).
 */
const ranges = { Cc: '\\x00-\\x1f\\x7f-\\x9f', Zl: '\\u2028', Zp: '\\u2029', C: '\\x00-\\x1f\\x7f-\\x9f' }

/**
 * Returns a pattern that every engine reads. `\p{C}` becomes the control characters alone: the gateway
 * refuses the rest, too.
 * @param {string} pattern
 */
function portable(pattern) {
  return pattern.replaceAll('\\0', '\\x00').replace(/\\p\{(\w+)\}/g, (_, name) => {
    const range = ranges[name]
    if (!range)
      throw new Error(
        `The pattern ${pattern} has \\p{${name}}, which client generators cannot ` +
          'read. Say its ranges in scripts/openapi.js.',
      )
    return range
  })
}

/**
 * A name for the function that a generator makes: `GET /admin/users/{id}/roles` is `getAdminUsersByIdRoles`.
 */
const operationId = (method, path) =>
  method +
  path
    .split(/[/.-]+/)
    .filter(Boolean)
    .map((word) =>
      word.replace(/^:?(.)/, (all, first) => (all.startsWith(':') ? 'By' : '') + first.toUpperCase()),
    )
    .join('')

/** @param {import('../dist/http/endpoint/endpoint.js').Endpoint} endpoint */
function operation({
  method,
  summary,
  access,
  body,
  bodyTypes = ['application/json'],
  bodyOptional = false,
  query,
  errors,
  answers,
  path,
}) {
  const inPlace = access.mandate !== 'none' || access.instance !== 'none'
  const params = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name)
  const good = Object.entries(answers).map(([status, schema]) => [
    status,
    {
      description: schema ? 'OK' : 'Done; there is nothing to answer',
      ...(schema
        ? {
            content:
              typeof schema === 'string'
                ? { [schema]: { schema: z.string() } }
                : { 'application/json': { schema } },
          }
        : {}),
    },
  ])
  const bad =
    errors === 'portal'
      ? { description: 'A page that says what to do', content: { 'text/html': { schema: z.string() } } }
      : errors === 'oauth'
        ? { description: 'Refused', content: { 'application/json': { schema: oauthError } } }
        : { description: 'Refused or failed', content: { 'application/problem+json': { schema: problem } } }
  return {
    operationId: operationId(method, path),
    summary,
    tags: [path.split('/')[1] || 'operations'],
    ...(access.auth === 'public' ? { security: [] } : {}),
    ...(access.auth === 'portal' ? { security: [{ portal: [] }] } : {}),
    ...(access.guard
      ? {
          description:
            access.guard === 'sysAdmin' ? 'For SysAdmins; audited.' : 'For PlatformAdmins; audited.',
        }
      : {}),
    requestParams: {
      ...(query ? { query } : {}),
      ...(inPlace ? { header: placeHeaders } : {}),
      ...(params.length > 0
        ? { path: z.object(Object.fromEntries(params.map((name) => [name, z.string()]))) }
        : {}),
    },
    ...(body
      ? {
          requestBody: {
            required: !bodyOptional,
            content: Object.fromEntries(bodyTypes.map((type) => [type, { schema: body }])),
          },
        }
      : {}),
    responses: { ...Object.fromEntries(good), default: bad },
  }
}

// The factories only keep what they are given until a request comes, and none does.
const dependencies = {
  config: {},
  database: {},
  keys: {},
  identityKeys: {},
  passwords: {},
  isDraining: () => false,
  node: { lease: {} },
  denials: {},
  routes: {},
}
const paths = {}
for (const endpoint of ownEndpoints(dependencies)) {
  const path = endpoint.path.replace(/:(\w+)/g, '{$1}')
  paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint) }
}

const override = ({ jsonSchema }) => {
  if (typeof jsonSchema.pattern === 'string') jsonSchema.pattern = portable(jsonSchema.pattern)
}

const document = createDocument(
  {
    openapi: '3.1.0',
    info: { title: 'Mandate Gateway', version, description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ cookie: [] }, { bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        cookie: { type: 'apiKey', in: 'cookie', name: 'auth_token' },
        portal: { type: 'apiKey', in: 'cookie', name: 'portal_session' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  },
  { override },
)
const text =
  '# Made by `npm run openapi` from the schemas in src/. Change them, not this ' +
  `file.\n${stringify(document, { lineWidth: 140, aliasDuplicateObjects: false })}`

if (process.argv.includes('--print')) {
  process.stdout.write(text)
} else if (process.argv.includes('--check')) {
  if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    process.stderr.write('openapi.yaml is not what the schemas say. Run: npm run openapi\n')
    process.exitCode = 1
  }
} else {
  await writeFile(file, text)
}
