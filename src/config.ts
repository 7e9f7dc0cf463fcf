import { deflateRawSync } from 'node:zlib'
import { z } from 'zod'
import { isLoopbackHost } from './domain/loopback.js'
import {
  isUnlistedProvider,
  providerFaults,
  providerSchemas,
  providerSlugs,
  type ProviderVariables,
} from './domain/provider-settings.js'
import { entryLimit, limitOf, widerLimit } from './domain/rate-limit.js'
import { resembles } from './domain/resembling-names.js'
import {
  flag,
  mailFrom,
  origin,
  postgresUrl,
  rateLimit,
  secret,
  url,
  whole,
} from './domain/variable-schemas.js'

/** The configuration is invalid. `faults` lists every fault, each with the name of its variable. */
export class ConfigError extends Error {
  constructor(readonly faults: string[]) {
    const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`
    super(`The configuration has ${count}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
  }
}

const algorithms = ['HS256', 'HS384', 'HS512', 'ES256', 'RS256', 'EdDSA'] as const
/** OpenTelemetry's names. */
const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
const algorithm = z.enum(algorithms, `must be one of ${algorithms.join(', ')}`)

const variables = z.object({
  NODE_ENV: z
    .enum(['development', 'production', 'test'], 'must be development, production or test')
    .default('development'),
  HOST: z.string().default('127.0.0.1'),
  PORT: whole(0, 65535).default(8080),
  PUBLIC_URL: origin.optional(),
  DATABASE_URL: postgresUrl.optional(),
  EMBEDDED_DATABASE: flag.optional(),
  DATABASE_MIGRATION_URL: postgresUrl.optional(),
  DATABASE_DIRECT_URL: postgresUrl.optional(),
  DATA_DIR: z.string().default('.data'),
  REDIS_URL: url(['redis:', 'rediss:']).optional(),
  APP_JWT_KEY_SECRET: secret.optional(),
  APP_JWT_KEY_SECRET_PREVIOUS: secret.optional(),
  APP_JWT_PRIVATE_KEY: z.string().optional(),
  APP_JWT_PRIVATE_KEY_PREVIOUS: z.string().optional(),
  AUTH_ALGORITHM: algorithm.default('HS256'),
  APP_TOKEN_EXPIRY: whole(1, 60 * 24 * 365).default(15),
  APP_REFRESH_TOKEN_EXPIRY: whole(1, 400).default(7),
  SESSION_MAX_AGE: whole(1, 3650).default(90),
  SECRET_KEY: secret.optional(),
  SECRET_KEY_PREVIOUS: secret.optional(),
  GATEWAY_ROUTES: z.string().default('routes.yaml'),
  GATEWAY_ROUTES_WATCH: flag.optional(),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((value) =>
      value
        .split(',')
        .map((entry) => entry.trim())
        .filter(Boolean),
    )
    .pipe(z.array(origin)),
  COOKIE_SAMESITE: z.enum(['lax', 'strict', 'none'], 'must be lax, strict or none').default('lax'),
  COOKIE_SECURE: flag.optional(),
  COOKIE_PREFIX: z.enum(['none', 'host'], 'must be none or host').default('none'),
  TRUST_PROXY: whole(0, 20).default(0),
  TRUST_FORWARDED_HOST: flag.default(true),
  COHERENCE_LEASE_MS: whole(0, 60_000).default(5000),
  COHERENCE_CACHE_ENTRIES: whole(1, 100_000_000).default(100_000),
  RATE_LIMIT_ADDRESS: rateLimit.default({ requests: 1200, windowMs: 60_000 }),
  RATE_LIMIT_NETWORK: rateLimit.optional(),
  RATE_LIMIT_ENTRY: rateLimit.optional(),
  RATE_LIMIT_USER: rateLimit.default({ requests: 3000, windowMs: 60_000 }),
  RATE_LIMIT_LOGIN: rateLimit.default({ requests: 10, windowMs: 60_000 }),
  RATE_LIMIT_MAIL: rateLimit.default({ requests: 5, windowMs: 3_600_000 }),
  RATE_LIMIT_FACTOR: rateLimit.default({ requests: 20, windowMs: 3_600_000 }),
  WEBAUTHN_RP_ID: z
    .string()
    .regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/, 'must be a host in lower case, such as example.com')
    .optional(),
  TRUST_AMR: z
    .string()
    .default('')
    .transform((value) =>
      value
        .split(',')
        .map((entry) => entry.trim())
        .filter(Boolean),
    ),
  GATEWAY_WORKERS: whole(1, 256).default(1),
  DATABASE_WAIT_SECONDS: whole(0, 3600).default(60),
  MAX_CONNECTIONS: whole(1, 1_000_000).default(10_000),
  MAX_CONNECTIONS_ADDRESS: whole(1, 1_000_000).optional(),
  MAX_MEMORY_MB: whole(64, 1_000_000).optional(),
  METRICS_PORT: whole(0, 65535).optional(),
  AUDIT_RETENTION_DAYS: whole(1, 36_500).optional(),
  OTEL_SDK_DISABLED: z
    .string()
    .default('false')
    .transform((value) => value.toLowerCase() === 'true'),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none'], 'must be otlp or none').optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: url(['https:', 'http:']).optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url(['https:', 'http:']).optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(['http/protobuf', 'http/json'], 'must be http/protobuf or http/json')
    .optional(),
  OTEL_TRACES_SAMPLER: z.enum(samplers, `must be one of ${samplers.join(', ')}`).optional(),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, 'must be a share from 0 to 1')
    .transform(Number)
    .optional(),
  SEED_DEMO: flag.optional(),
  OIDC_PROVIDERS: providerSlugs,
  SMTP_URL: url(['smtp:', 'smtps:']).optional(),
  MAIL_FROM: mailFrom.optional(),
  NOTIFY_URL: url(['https:', 'http:']).optional(),
  NOTIFY_SECRET: secret.optional(),
  LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug'], 'must be error, warn, info or debug').default('info'),
  LOG_FORMAT: z.enum(['pretty', 'json'], 'must be pretty or json').optional(),
})

type Variables = z.infer<typeof variables> & ProviderVariables

/** Returns whether a secret was probably typed by a person: it compresses too well to be random. */
const looksWeak = (value: string) => deflateRawSync(value, { level: 9 }).length < 24

const isSymmetric = ({ AUTH_ALGORITHM }: Variables) => AUTH_ALGORITHM.startsWith('HS')

function* productionFaults(values: Variables): Generator<string> {
  const needed = [...(isSymmetric(values) ? (['APP_JWT_KEY_SECRET'] as const) : []), 'SECRET_KEY'] as const
  for (const name of needed) {
    const value = values[name]
    if (!value) yield `${name}: must be set in production; make one with: openssl rand -base64 48`
    else if (looksWeak(value))
      yield `${name}: is too weak for production; make one with: openssl rand -base64 48`
  }
  for (const name of ['APP_JWT_KEY_SECRET_PREVIOUS', 'SECRET_KEY_PREVIOUS'] as const) {
    const value = values[name]
    if (value !== undefined && looksWeak(value)) yield `${name}: is too weak for production; leave it out`
  }
  if (!values.DATABASE_URL && !values.EMBEDDED_DATABASE)
    yield (
      "DATABASE_URL: must be set in production; to use the gateway's own Postgres below DATA_DIR " +
      'on purpose, set EMBEDDED_DATABASE=true'
    )
  if (values.SEED_DEMO)
    yield 'SEED_DEMO: demo data has published passwords and cannot be used with NODE_ENV=production'
}

function* databaseFaults(values: Variables): Generator<string> {
  if (values.DATABASE_URL && values.EMBEDDED_DATABASE)
    yield 'EMBEDDED_DATABASE: must not be true with DATABASE_URL: which of the two is meant?'
  if (values.NODE_ENV !== 'production' && !values.DATABASE_URL && values.EMBEDDED_DATABASE === false)
    yield 'DATABASE_URL: must be set with EMBEDDED_DATABASE=false'
  if (values.METRICS_PORT !== undefined && values.METRICS_PORT !== 0 && values.METRICS_PORT === values.PORT)
    yield 'METRICS_PORT: must be another one than PORT'
  for (const name of ['DATABASE_MIGRATION_URL', 'DATABASE_DIRECT_URL'] as const) {
    if (values[name] && !values.DATABASE_URL)
      yield `${name}: needs DATABASE_URL, the database that requests use`
  }
}

/** Messages to people have one way out, and cross no network in plain text. */
function* messageFaults(values: Variables): Generator<string> {
  const { SMTP_URL, NOTIFY_URL } = values
  for (const [one, other] of [
    ['SMTP_URL', 'MAIL_FROM'],
    ['NOTIFY_URL', 'NOTIFY_SECRET'],
  ] as const) {
    if (Boolean(values[one]) !== Boolean(values[other]))
      yield `${values[one] ? other : one}: must be set too: both or neither`
  }
  if (SMTP_URL !== undefined && NOTIFY_URL !== undefined)
    yield 'NOTIFY_URL: must not be set with SMTP_URL: messages have one way out'
  if (NOTIFY_URL === undefined) return
  const { protocol, hostname, username, password } = new URL(NOTIFY_URL)
  if (protocol === 'http:' && !isLoopbackHost(hostname))
    yield 'NOTIFY_URL: must start with https://, unless it is this machine'
  if (username !== '' || password !== '')
    yield 'NOTIFY_URL: must not hold a name or password: the body is signed with NOTIFY_SECRET'
}

/** A passkey belongs to a host: pages of another one cannot use it. */
function* passkeyFaults({ WEBAUTHN_RP_ID: id, PUBLIC_URL }: Variables): Generator<string> {
  if (id === undefined || PUBLIC_URL === undefined) return
  const host = new URL(PUBLIC_URL).hostname
  if (host !== id && !host.endsWith(`.${id}`))
    yield 'WEBAUTHN_RP_ID: must be the host of PUBLIC_URL, or a parent domain of it'
}

/** Yields the faults that several variables have together, each with the name of the one to correct. */
function* faultsBetween(values: Variables): Generator<string> {
  if (!isSymmetric(values) && !values.APP_JWT_PRIVATE_KEY)
    yield `APP_JWT_PRIVATE_KEY: must be set with AUTH_ALGORITHM=${values.AUTH_ALGORITHM}: a private key as PEM or JWK`
  if (values.NODE_ENV === 'production') yield* productionFaults(values)
  yield* databaseFaults(values)
  if (values.COOKIE_SAMESITE === 'none' && values.COOKIE_SECURE === false)
    yield 'COOKIE_SECURE: must not be false with COOKIE_SAMESITE=none: browsers refuse such cookies'
  if (values.COOKIE_PREFIX === 'host' && !isSecure(values))
    yield 'COOKIE_SECURE: must be true with COOKIE_PREFIX=host: browsers refuse such cookies without Secure'
  yield* providerFaults(values, values.OIDC_PROVIDERS)
  yield* messageFaults(values)
  yield* passkeyFaults(values)
}

/** Returns whether cookies are sent by https alone. */
const isSecure = ({ COOKIE_SECURE, NODE_ENV, COOKIE_SAMESITE }: Variables) =>
  COOKIE_SECURE ?? (NODE_ENV === 'production' || COOKIE_SAMESITE === 'none')

/**
 * Returns how many connections one address may have: by default a tenth of all, at least 100. Behind a proxy
 * there is no such limit, because all connections come from the proxy.
 */
const connectionsOfAddress = ({ TRUST_PROXY, MAX_CONNECTIONS, MAX_CONNECTIONS_ADDRESS }: Variables) =>
  TRUST_PROXY > 0 ? undefined : (MAX_CONNECTIONS_ADDRESS ?? Math.max(100, Math.ceil(MAX_CONNECTIONS / 10)))

function settle(values: Variables) {
  const production = values.NODE_ENV === 'production'
  const embedded = !values.DATABASE_URL
  return {
    ...values,
    production,
    RATE_LIMIT_ADDRESS: limitOf(values.RATE_LIMIT_ADDRESS),
    RATE_LIMIT_NETWORK:
      values.RATE_LIMIT_NETWORK === undefined
        ? widerLimit(limitOf(values.RATE_LIMIT_ADDRESS))
        : limitOf(values.RATE_LIMIT_NETWORK),
    RATE_LIMIT_ENTRY:
      values.RATE_LIMIT_ENTRY === undefined
        ? entryLimit(limitOf(values.RATE_LIMIT_ADDRESS))
        : limitOf(values.RATE_LIMIT_ENTRY),
    RATE_LIMIT_USER: limitOf(values.RATE_LIMIT_USER),
    RATE_LIMIT_LOGIN: limitOf(values.RATE_LIMIT_LOGIN),
    RATE_LIMIT_MAIL: limitOf(values.RATE_LIMIT_MAIL),
    RATE_LIMIT_FACTOR: limitOf(values.RATE_LIMIT_FACTOR),
    CORS_ORIGINS: values.CORS_ORIGINS.map((entry) => entry.toLowerCase()),
    COOKIE_SECURE: isSecure(values),
    MAX_CONNECTIONS_ADDRESS: connectionsOfAddress(values),
    SEED_DEMO: values.SEED_DEMO ?? (embedded && !production),
  }
}

/** The validated configuration by variable name, with defaults that depend on several variables. */
export type Config = Readonly<ReturnType<typeof settle>>

/** Returns the values of the given variables, or what is wrong with them, each by itself. */
function parseVariables(given: Readonly<Record<string, string | undefined>>): {
  values?: Variables
  issues: z.core.$ZodIssue[]
} {
  const own = variables.safeParse(given)
  const slugs = providerSlugs.safeParse(given.OIDC_PROVIDERS)
  const ofProviders = z.object(providerSchemas(slugs.data ?? [])).safeParse(given)
  if (own.success && ofProviders.success) return { values: { ...ofProviders.data, ...own.data }, issues: [] }
  return { issues: [...(own.error?.issues ?? []), ...(ofProviders.error?.issues ?? [])] }
}

/**
 * Returns the configuration from `environment`. An empty variable counts as unset. Throws a ConfigError with
 * all faults; it never contains a value.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const given = { ...set, AUTH_ALGORITHM: set.AUTH_ALGORITHM ?? set.Auth_ALGORITHM }
  const { values, issues } = parseVariables(given)
  if (values === undefined) {
    const single = issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`)
    // Check the rules between the valid variables too, so that one start reports every fault.
    const broken = new Set(issues.map((issue) => String(issue.path[0])))
    const readable = parseVariables(
      Object.fromEntries(Object.entries(given).filter(([name]) => !broken.has(name))),
    )
    const between = [...(readable.values ? faultsBetween(readable.values) : [])].filter(
      (fault) => !broken.has(fault.slice(0, fault.indexOf(':'))),
    )
    throw new ConfigError([...new Set([...single, ...between])])
  }
  const between = [...faultsBetween(values)]
  if (between.length > 0) throw new ConfigError(between)
  return Object.freeze(settle(values))
}

/**
 * Returns a warning for each variable that the gateway does not read, but whose name resembles one of its
 * own. Without it, a misspelt variable is ignored silently.
 */
export function unknownVariables(environment: NodeJS.ProcessEnv = process.env): string[] {
  const slugs = providerSlugs.safeParse(environment.OIDC_PROVIDERS).data ?? []
  const known = [...Object.keys(variables.shape), ...Object.keys(providerSchemas(slugs)), 'Auth_ALGORITHM']
  const hintOf = (name: string) => {
    if (isUnlistedProvider(name)) return 'Does OIDC_PROVIDERS lack the slug of its provider?'
    const meant = resembles(name, known)
    if (meant === undefined) return undefined
    return meant === '' ? 'README.md lists them.' : `Is ${meant} meant?`
  }
  return Object.keys(environment).flatMap((name) => {
    const hint = known.includes(name) ? undefined : hintOf(name)
    return hint === undefined ? [] : [`${name} is not a variable of the gateway and is ignored. ${hint}`]
  })
}

/** Returns the path of the route file. It does not validate the other variables. */
export function routeFile(environment: NodeJS.ProcessEnv = process.env): string {
  return variables.shape.GATEWAY_ROUTES.parse(environment.GATEWAY_ROUTES || undefined)
}

/** Returns whether `environment` names a route file, in place of the default. */
export function namesRouteFile({ GATEWAY_ROUTES }: NodeJS.ProcessEnv = process.env): boolean {
  return GATEWAY_ROUTES !== undefined && GATEWAY_ROUTES !== ''
}

/** Returns a variable that the operator's own file names, such as the URL of an import's source database. */
export const environmentVariable = (name: string): string | undefined => process.env[name]
