import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { loadTokenKeys } from '../../src/authentication/token-keys.js'
import { verifyToken } from '../../src/authentication/verify-token.js'
import { ConfigError, loadConfig } from '../../src/config.js'
import { GatewayError } from '../../src/errors.js'
import { normalisePath } from '../../src/http/normalise-path.js'
import { cookieValues } from '../../src/http/cookies.js'
import { parseRouteTable, RouteTableError } from '../../src/proxy/route-table.js'
import { sentPath } from '../../src/proxy/sent-path.js'
import { segmentOf, signSegments } from '../support/hand-signed.js'

const testSecret = 'test-secret-0123456789-abcdefghijklmnop'
const keys = await loadTokenKeys({
  AUTH_ALGORITHM: 'HS256',
  APP_JWT_KEY_SECRET: testSecret,
  APP_JWT_KEY_SECRET_PREVIOUS: undefined,
  APP_JWT_PRIVATE_KEY: undefined,
  APP_JWT_PRIVATE_KEY_PREVIOUS: undefined,
})
const verdictOf = async (token: string): Promise<string> => {
  try {
    await verifyToken(token, keys)
    return 'accepted'
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
}

const now = Math.floor(Date.now() / 1000)
const absent = Symbol('left out')
type Parts = Record<string, unknown>
const present = (parts: Parts) =>
  Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== absent))
const some = (good: unknown, ...others: unknown[]) =>
  fc.oneof({ weight: 60, arbitrary: fc.constant(good) }, ...others.map((other) => fc.constant(other)))
const anything = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 0, -1, [], {}, 'x'),
  fc.string(),
  fc.double(),
  fc.array(fc.string()),
)

const headers = fc.record({
  alg: some('HS256', 'hs256', 'HS384', 'none', 'RS256', '', 'EdDSA', null, ['HS256'], absent),
  typ: some(
    'at+jwt',
    'JWT',
    'AT+JWT',
    'jwt',
    'application/at+jwt',
    'gateway-identity+jwt',
    '',
    null,
    1,
    ['JWT'],
    absent,
  ),
  kid: some(keys.signing.kid, 'another', '', null, 1, absent),
  crit: some(absent, ['exp'], [], null),
  b64: some(absent, true, false),
  zip: some(absent, 'DEF', null),
})
const claims = fc.record({
  sub: some('alice', 'bob', '', 'alice\0', 1, null, ['alice'], absent),
  userId: some('00000000-0000-4000-8000-000000000003', 'x', '', 3, null, absent),
  jti: some(
    '00000000-0000-4000-8000-0000000000aa',
    '00000000-0000-4000-8000-0000000000AA',
    '{00000000-0000-4000-8000-0000000000aa}',
    'x',
    '',
    1,
    null,
    absent,
  ),
  iat: some(now, now - 100, now + 3, now + 60, 1e12, '1', null, absent),
  nbf: some(absent, now, now - 5, now + 60, 'x', null),
  exp: some(
    now + 900,
    now + 300,
    now - 1,
    now,
    now - 900,
    now + 401 * 86_400,
    1e300,
    String(now + 900),
    null,
    absent,
  ),
  iss: some('mandate-gateway', 'another', '', null, ['mandate-gateway'], absent),
  aud: some(absent, 'x', ['y']),
  isSysAdmin: some(absent, true),
})

/** The rows 2 to 4 of the authentication table, once more and naively. */
function expected(header: Parts, payload: Parts): string {
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
  const { exp, iat, nbf } = payload
  const good =
    header.alg === 'HS256' &&
    !('crit' in header) &&
    !('b64' in header) &&
    !('zip' in header) &&
    (!('typ' in header) ||
      (typeof header.typ === 'string' && ['jwt', 'at+jwt'].includes(header.typ.toLowerCase()))) &&
    isNumber(exp) &&
    (iat === undefined || isNumber(iat)) &&
    (nbf === undefined || isNumber(nbf)) &&
    exp <= (iat ?? now) + 400 * 86_400 &&
    (nbf ?? 0) <= now + 5 &&
    (iat ?? 0) <= now + 5 &&
    (!('iss' in payload) || payload.iss === 'mandate-gateway')
  if (!good) return 'token_invalid'
  if (exp <= now) return 'token_expired'
  const names =
    [payload.sub, payload.userId, payload.jti].every((value) => typeof value === 'string') &&
    !String(payload.sub).includes('\0')
  return names && /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(String(payload.jti))
    ? 'accepted'
    : 'token_invalid'
}

describe('a token', () => {
  it('is accepted or refused as the table says, for any header and claims', async () => {
    const verdicts = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(headers, claims, async (header, payload) => {
        const [head, body] = [present(header), present(payload)]
        const verdict = await verdictOf(signSegments(segmentOf(head), segmentOf(body)))
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
        expect([head, body, verdict]).toEqual([head, body, expected(head, body)])
      }),
      { numRuns: 1000 },
    )
    expect([...verdicts.keys()].sort()).toEqual(['accepted', 'token_expired', 'token_invalid'])
  })

  const good = signSegments(
    segmentOf({ alg: 'HS256', typ: 'at+jwt', kid: keys.signing.kid }),
    segmentOf({
      sub: 'alice',
      userId: 'u',
      jti: '00000000-0000-4000-8000-0000000000aa',
      iat: now,
      exp: now + 900,
    }),
  )
  it('is refused with a single character changed', async () => {
    expect(await verdictOf(good)).toBe('accepted')
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length),
        fc.constantFrom('replace', 'insert', 'delete', 'swap', 'repeat'),
        fc.oneof(
          fc.constantFrom('.', '=', ' ', '\n', '-', '_', '+', '/', 'A'),
          fc.string({ minLength: 1, maxLength: 1 }),
        ),
        async (at, how, character) => {
          const changed = {
            replace: good.slice(0, at) + character + good.slice(at + 1),
            insert: good.slice(0, at) + character + good.slice(at),
            delete: good.slice(0, at) + good.slice(at + 1),
            swap:
              good.slice(0, at) + good.slice(at + 1, at + 2) + good.slice(at, at + 1) + good.slice(at + 2),
            repeat: good.slice(0, at) + good,
          }[how]
          if (changed !== good)
            expect([changed, await verdictOf(changed)]).toEqual([changed, 'token_invalid'])
        },
      ),
      { numRuns: 1500 },
    )
  })
  it('of arbitrary text never causes an internal error', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(fc.string()).map((parts) => parts.join('.')),
          fc
            .tuple(anything, anything)
            .map(([head, body]) => signSegments(segmentOf(head ?? 'null'), segmentOf(body ?? 'null'))),
        ),
        async (token) => {
          expect(await verdictOf(token)).toBe('token_invalid')
        },
      ),
      { numRuns: 1000 },
    )
  })
})

const table = parseRouteTable(
  `
upstreams:
  { open: { targets: ['http://127.0.0.1:1'] }, shut: { targets: ['http://127.0.0.1:2'] },
    deep: { targets: ['http://127.0.0.1:3'] } }
routes:
  /: { upstream: open, auth: public }
  /api: { upstream: open, auth: public, strip: true }
  /api/crm: { upstream: shut }
  /api/crm/admin: { upstream: deep, guard: sysAdmin, rewrite: /inner }
`,
  'routes.yaml',
)

const pieces = fc.constantFrom(
  '/',
  'api',
  'crm',
  'admin',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%5c',
  '\\',
  ';',
  '%3b',
  ';x',
  '%',
  '%2',
  '%25',
  '%252e',
  '%61',
  '%41',
  'A',
  '%c3%a9',
  '%ff',
  '%00',
  '?',
  '#',
  ' ',
  'é',
  '~',
  '%7e',
  '%7E',
  'x',
  'auth',
  'portal',
  '//',
)
const paths = fc.oneof(
  fc.array(pieces, { maxLength: 8 }).map((all) => `/${all.join('')}`),
  fc.array(pieces, { maxLength: 4 }).map((all) => `/api/crm${all.join('')}`),
)
const attempt = (path: string) => {
  try {
    const pathname = normalisePath(path.split('?', 1)[0] ?? '') // the query is cut off before
    return { pathname, route: table.match(pathname) }
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'path_ambiguous') return undefined
    throw error
  }
}

/** How programs behind us may read a path. */
const readings: ((path: string) => string)[] = [
  (path) => path,
  (path) => decodeURIComponent(path),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => decodeURIComponent(path).replace(/;[^/]*/g, ''),
  (path) => new URL(path, 'http://x').pathname,
  (path) => new URL(decodeURI(path), 'http://x').pathname,
  (path) => path.replace(/\/+/g, '/'),
  (path) => {
    try {
      return decodeURIComponent(decodeURIComponent(path))
    } catch {
      return path
    }
  },
]
const longest = (path: string) =>
  table.routes
    .map(({ prefix }) => prefix)
    .filter((prefix) => prefix === '/' || path === prefix || path.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length)[0]

describe('a path', () => {
  it('that matches a route belongs to the same route in every reading', () => {
    let matched = 0
    fc.assert(
      fc.property(paths, (path) => {
        const found = attempt(path)
        if (!found?.route) return
        matched += 1
        for (const read of readings)
          expect([path, longest(read(found.pathname))]).toEqual([path, found.route.prefix])
      }),
      { numRuns: 3000 },
    )
    expect(matched).toBeGreaterThan(200)
  })
  it('is sent as it was matched, less what the route strips, and stays below the prefix it puts in place', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const found = attempt(path)
        if (!found?.route) return
        const { pathname, route } = found
        const sent = sentPath(route, pathname, '?q')
        const base = route.strip ? '/' : (route.rewrite ?? route.prefix)
        const rest = route.prefix === '/' ? pathname : pathname.slice(route.prefix.length)
        expect(sent).toBe(
          `${base === '/' ? '' : base}${route.prefix === '/' ? pathname : rest}`.replace(/^$/, '/') + '?q',
        )
        expect(sent).toMatch(/^\/(?!\/)/)
        for (const read of readings) expect(read(sent.slice(0, -2)).split('/')).not.toContain('..')
      }),
      { numRuns: 2000 },
    )
  })
  it('means the same once it is normalised again', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const found = attempt(path)
        if (found) expect(attempt(found.pathname)?.pathname).toBe(found.pathname)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('cookies', () => {
  const name = fc.constantFrom(
    'auth_token',
    'Auth_token',
    ' auth_token',
    'auth_token ',
    'xauth_token',
    'auth_tokenx',
    'x',
    '',
    '"auth_token"',
    'auth_token=auth_token',
  )
  it('are the pairs with exactly the gateway’s names, in their order', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc
            .tuple(name, fc.constantFrom('1', '', ' 2 ', 'a=b', 'auth_token', '"3"'))
            .map(([key, value]) => ({ key, value })),
        ),
        (pairs) => {
          const header = pairs.map(({ key, value }) => `${key}=${value}`).join(';')
          const own = header.split(';').flatMap((pair) => {
            const [, value] = /^\s*auth_token\s*=(.*)$/.exec(pair) ?? []
            return value === undefined ? [] : [value.trim()]
          })
          expect(cookieValues(header, 'auth_token')).toEqual(own)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('need a name and a value: a text that only begins with a name is ignored', () => {
    for (const header of ['auth_token', 'auth_tokenx', 'a; auth_tokenx; b=auth_token', '=auth_token'])
      expect(cookieValues(header, 'auth_token')).toEqual([])
    expect(cookieValues('auth_tokenx; auth_token==; auth_token=', 'auth_token')).toEqual(['=', ''])
  })
})

describe('a text that an operator writes', () => {
  const variables = [
    'NODE_ENV',
    'PORT',
    'PUBLIC_URL',
    'DATABASE_URL',
    'DATABASE_MIGRATION_URL',
    'APP_JWT_KEY_SECRET',
    'SECRET_KEY',
    'AUTH_ALGORITHM',
    'Auth_ALGORITHM',
    'CORS_ORIGINS',
    'COOKIE_SAMESITE',
    'COOKIE_SECURE',
    'TRUST_PROXY',
    'RATE_LIMIT_LOGIN',
    'METRICS_PORT',
    'SEED_DEMO',
    'MSFT_ISSUER',
    'REDIS_URL',
    'LOG_LEVEL',
    '__proto__',
    'constructor',
  ]
  const values = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '',
      '0',
      'true',
      'production',
      'none',
      'http://a',
      'https://a.example/',
      'postgres://x',
      '1/1s',
      'off',
      '*',
      '-1',
      '1e9',
      '9'.repeat(40),
      'x'.repeat(40),
      'https://[',
      'null',
      'HS256',
      'RS256',
    ),
  )
  it('in a variable is accepted or refused with the variable’s name and without a secret', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...variables), values), (environment) => {
        try {
          loadConfig(environment)
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
          const { faults } = error as ConfigError
          for (const fault of faults) expect(fault).toMatch(/^[A-Za-z_]+: /)
          for (const secret of ['APP_JWT_KEY_SECRET', 'SECRET_KEY']) {
            const value = environment[secret] ?? ''
            if (value.length > 12 && value !== 'production') expect(faults.join('\n')).not.toContain(value)
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  const file =
    'upstreams:\n' +
    `  a: { targets: ['http://127.0.0.1:1'], timeouts: { headersMs: 5 } }\n` +
    'routes:\n' +
    '  /x: { upstream: a, auth: optional, mandate: optional }\n' +
    '  /y: { upstream: a, rateLimit: 5/1s }\n'
  it('in the route file is accepted or refused with its line', () => {
    const edits = fc.array(
      fc.record({
        at: fc.nat(file.length),
        take: fc.nat(12),
        put: fc.oneof(
          fc.string({ maxLength: 6 }),
          fc.constantFrom(
            '/',
            '/auth',
            '..',
            '*a',
            '&a ',
            '<<: ',
            '\n',
            '  ',
            '{',
            '}',
            '[',
            '!!js/function x',
            '? ',
            '- ',
            'null',
            '0',
            "'",
            '"',
            'constructor',
            '__proto__: 1',
          ),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    )
    fc.assert(
      fc.property(edits, (all) => {
        const text = all.reduce(
          (before, { at, take, put }) => before.slice(0, at) + put + before.slice(at + take),
          file,
        )
        try {
          for (const { prefix } of parseRouteTable(text, 'routes.yaml').routes)
            expect(prefix).toMatch(/^\/[\w.~/-]*$/)
        } catch (error) {
          if (!(error instanceof RouteTableError)) throw error
          for (const fault of error.faults) expect(fault).toMatch(/^routes\.yaml:\d+: /)
        }
      }),
      { numRuns: 250 },
    )
  })
})
