import { z } from 'zod'
import { askedFactors } from '../domain/assurance-policy.js'
import { isRange } from '../domain/address-ranges.js'
import { byLanguage, sourceFirst, type Language } from '../domain/languages.js'
import { ruleContexts } from '../domain/permissions.js'
import { mandateSources } from '../http/endpoint/policy.js'
import { messageOf } from '../domain/yaml-faults.js'
import { disclosedParts } from './caller-headers.js'
import { droppedHeaders, exposedHeaders, requestHeaderRules, responseHeaderRules } from './header-rules.js'
import { milliseconds, upstreamSchema } from './upstream-schema.js'

/**
 * Path prefixes of the gateway itself, which no route may claim. A route with `auth: portal` may lie below
 * `/portal`.
 */
const ownPrefixes = [
  '/auth',
  '/mandate',
  '/admin',
  '/system',
  '/portal',
  '/projects',
  '/healthz',
  '/readyz',
  '/metrics',
  '/.well-known',
  '/openapi.yaml',
  '/docs',
  '/console',
]

/** The portal's own paths below its prefix. */
const ownPortalPrefixes = ['/portal/enter', '/portal/logout', '/portal/api']

const isWithin = (path: string, prefix: string) => path === prefix || path.startsWith(`${prefix}/`)

/** Returns whether a prefix lies above a path of the gateway. */
export function coversOwnPaths(prefix: string): boolean {
  return prefix === '/' || ownPrefixes.some((own) => own.startsWith(`${prefix}/`)) || isOwnPath(prefix)
}

/** Returns whether a path is the gateway's own. No route matches it, not even `/`. */
export function isOwnPath(pathname: string): boolean {
  return ownPrefixes.some((own) => isWithin(pathname, own))
}

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

const subject = z.strictObject({
  context: z.enum(ruleContexts, 'must be DATA, UI or RESOURCE'),
  item: z
    .string()
    .min(1)
    .max(500)
    .regex(/^[\w-]+(\.[\w-]+)*$/, 'must be a dotted path such as crm.contacts'),
})

const place = z.enum(['required', 'optional', 'none'], 'must be required, optional or none')

/** By what requests can be counted. */
export const limitedBy = ['user', 'mandate', 'address'] as const

const requestsInWindow = z
  .string()
  .regex(/^[1-9]\d{0,8}\/[1-9]\d{0,4}s$/, 'must be REQUESTS/SECONDSs, such as 100/60s')
  .transform((value) => value.slice(0, -1).split('/').map(Number) as [number, number])
  .transform(([requests, seconds]) => ({ requests, windowMs: seconds * 1000 }))

/** `100/60s` counts by user; `{limit, by}` names another key. */
const rateLimit = z.union(
  [
    requestsInWindow.transform((limit) => ({ limit, by: 'user' as const })),
    z.strictObject({
      limit: requestsInWindow,
      by: z.enum(limitedBy, 'must be user, mandate or address').default('user'),
    }),
  ],
  'must be REQUESTS/SECONDSs, such as 100/60s, or { limit: 100/60s, by: user | mandate | address }',
)

const atATime = z.int('must be a whole number of 1 or more').min(1, 'must be a whole number of 1 or more')

/** `20` counts all requests; `{limit, by}` counts by a key. */
const concurrency = z.union(
  [
    atATime.transform((limit) => ({ limit, by: 'route' as const })),
    z.strictObject({
      limit: atATime,
      by: z.enum([...limitedBy, 'route'], 'must be user, mandate, address or route').default('route'),
    }),
  ],
  'must be a number of requests, or { limit: 20, by: user | mandate | address | route }',
)

/**
 * A route's path, of unreserved characters only. Any other character could be encoded in two ways, and one of
 * them would miss the prefix.
 */
export const routePrefix = z
  .string()
  .regex(
    /^\/(?:[\w.~-]+(?:\/[\w.~-]+)*)?$/,
    'must be a path prefix such as /api/crm: letters, digits and -._~, without a slash at its end',
  )
  .refine(
    (value) => !/\.(?:\/|$)/.test(value),
    'must not hold a dot segment, nor a dot at the end of a segment',
  )

const title = z.string().trim().min(1, 'must not be empty').max(100)

/** One title for each language. The English one is the fallback. */
const titles = z
  .strictObject({ ...byLanguage(() => title.optional()), en: title })
  .transform((given): Record<Language, string> => ({ ...byLanguage(() => given.en), ...given }))

const host = z
  .string()
  .max(253)
  .regex(
    /^(?:(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])$/i,
    'must be a host such as crm.example.com or *.example.com, without scheme and port',
  )

const addressRange = z
  .string()
  .refine(isRange, 'must be an address or a range such as 10.0.0.0/8 or 2001:db8::/32')

const ageText = 'must be a whole number of seconds, 60 or more'

const route = z.strictObject({
  upstream: z.string(),
  /** Without it, the route matches every host. */
  host: z
    .preprocess(
      (value) => (typeof value === 'string' ? [value] : value),
      z.array(host).min(1, 'must name at least one host'),
    )
    .optional(),
  strip: z.boolean().default(false),
  rewrite: routePrefix.optional(),
  preserveHost: z.boolean().default(false),
  auth: z
    .enum(['required', 'optional', 'public', 'portal'], 'must be required, optional, public or portal')
    .default('required'),
  /** Whether the service gets the caller's own credentials, and may set the gateway's cookies. */
  credentials: z.enum(['strip', 'pass'], 'must be strip or pass').default('strip'),
  /** Whether a refusal is enforced, or only noted. */
  decide: z.enum(['enforce', 'watch'], 'must be enforce or watch').default('enforce'),
  mandate: place.default('none'),
  instance: place.default('none'),
  guard: z.enum(['sysAdmin', 'platformAdmin'], 'must be sysAdmin or platformAdmin').optional(),
  permission: subject.optional(),
  mandateFrom: z
    .array(z.enum(mandateSources, `must be some of ${mandateSources.join(', ')}`))
    .min(1, 'must name at least one source')
    .optional(),
  rateLimit: rateLimit.optional(),
  concurrency: concurrency.optional(),
  timeoutMs: milliseconds.optional(),
  bodyLimit: bytes.optional(),
  /** What the route asks of the caller's proof. */
  assurance: z
    .strictObject({
      factor: z.enum(askedFactors, 'must be mfa or phr').nullable().default(null),
      maxAge: z.int(ageText).min(60, ageText).nullable().default(null),
    })
    .refine(
      ({ factor, maxAge }) => factor !== null || maxAge !== null,
      'must name factor (mfa or phr), maxAge (seconds), or both',
    )
    .optional(),
  /** The parts of the caller's identity that the service gets. The default is all. */
  tell: z.array(z.enum(disclosedParts, `must be some of ${disclosedParts.join(', ')}`)).optional(),
  /** Client addresses that may enter. The default is all. */
  addresses: z.array(addressRange).min(1, 'must name at least one range').optional(),
  requestHeaders: requestHeaderRules.optional(),
  responseHeaders: responseHeaderRules.optional(),
  /** Headers that pages of `CORS_ORIGINS` may read, beside those that they may always read. */
  exposeHeaders: exposedHeaders.optional(),
  /** The title of the link in the portal: one text, or one for each language. */
  title: z
    .union(
      [title.transform((text) => byLanguage(() => text)), titles],
      `must be a text, or { ${sourceFirst.map((language) => `${language}: a text`).join(', ')} }`,
    )
    .optional(),
})

type RouteInput = z.infer<typeof route>

/**
 * A prefix holds one route, or a list of routes for different hosts. Each fault keeps its position in the
 * file.
 */
const routesAt = z.unknown().transform((value, ctx): RouteInput[] => {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0)
    ctx.addIssue({ code: 'custom', message: 'must hold a route, or a list of routes for different hosts' })
  return list.flatMap((one, index) => {
    const parsed = route.safeParse(one)
    for (const issue of parsed.error?.issues ?? [])
      ctx.addIssue({
        code: 'custom',
        path: [...(Array.isArray(value) ? [index] : []), ...issue.path],
        message: messageOf(issue),
      })
    return parsed.data ? [parsed.data] : []
  })
})

/** Returns whether a path below `/portal` is free for a route with `auth: portal`. */
export function mayBePortals(path: string): boolean {
  return path.startsWith('/portal/') && !ownPortalPrefixes.some((own) => isWithin(path, own))
}

const lowerCased = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** Yields the contradictions in one route, as [field, message]. */
function* contradictions(
  path: string,
  {
    host: hosts,
    strip,
    rewrite,
    auth,
    mandate,
    instance,
    guard,
    permission,
    assurance,
    mandateFrom,
    title: shownAs,
    responseHeaders,
    tell,
    credentials,
    decide,
  }: RouteInput,
): Generator<[string, string]> {
  const claimed = ownPrefixes.find((own) => isWithin(path, own))
  if (claimed !== undefined && !(auth === 'portal' && mayBePortals(path)))
    yield ['', `claims ${claimed}, which belongs to the gateway`]
  if (strip && rewrite !== undefined) yield ['rewrite', 'cannot be set together with strip']
  if (mandateFrom && mandate === 'none' && instance === 'none')
    yield ['mandateFrom', 'needs mandate or instance: required or optional, else nobody asks']
  if (hosts && auth === 'portal')
    yield [
      'host',
      'cannot be set with auth: portal: the portal and its session live on the host of the gateway',
    ]
  if (auth !== 'public' && responseHeaders && 'cache-control' in lowerCased(responseHeaders.set))
    yield [
      'responseHeaders',
      `cannot set Cache-Control with auth: ${auth}: an answer that depends on its caller is stored nowhere`,
    ]
  if (tell?.includes('identity') === true && !tell.includes('user'))
    yield ['tell', 'needs user beside identity: a signed identity names the user']
  if (credentials === 'pass' && auth === 'portal')
    yield ['credentials', 'cannot be pass with auth: portal: the portal’s session is for the gateway alone']
  if (decide === 'watch' && (auth === 'public' || auth === 'portal'))
    yield [
      'decide',
      `cannot be watch with auth: ${auth}: ` +
        (auth === 'public'
          ? 'nothing is decided there'
          : 'clients of the portal are known to the gateway alone'),
    ]
  if (decide === 'watch' && credentials !== 'pass')
    yield [
      'decide',
      'needs credentials: pass: a route that watches vouches for nobody, so that the service must decide by itself',
    ]
  if (decide === 'watch' && tell)
    yield ['tell', 'cannot be set with decide: watch: the service is told of nobody there']
  if (shownAs && auth !== 'portal') yield ['title', 'needs auth: portal: only the portal shows it']
  if (auth === 'required') return
  if (mandate === 'required' || (mandate !== 'none' && auth !== 'optional'))
    yield ['mandate', `cannot be ${mandate} with auth: ${auth}: only a caller who is known has a mandate`]
  if (instance === 'required' || (instance !== 'none' && auth !== 'optional'))
    yield ['instance', `cannot be ${instance} with auth: ${auth}: only a caller who is known has an instance`]
  if (guard) yield ['guard', `cannot be set with auth: ${auth}: it needs a caller`]
  if (assurance) yield ['assurance', `cannot be set with auth: ${auth}: it needs a caller`]
  if (permission) yield ['permission', `cannot be set with auth: ${auth}: it needs a caller`]
}

/** Yields the contradictions among the routes of a table, as [path, message]. */
function* contradictionsBetween(routes: Record<string, RouteInput[]>): Generator<[PropertyKey[], string]> {
  const known = new Map<string, string>()
  for (const [prefix, at] of Object.entries(routes)) {
    const folded = prefix.toLowerCase()
    const other = known.get(folded)
    if (other !== undefined)
      yield [['routes', prefix], `is ${other} for programs that ignore letter case: use one of them`]
    known.set(folded, prefix)
    const hosts = at.flatMap(({ host: of = ['every host'] }) => of.map((one) => one.toLowerCase()))
    const twice = hosts.find((one, index) => hosts.indexOf(one) !== index)
    if (twice !== undefined)
      yield [['routes', prefix], `has two routes for ${twice}: give each a host of its own`]
  }
}

/** The route table, as its file holds it. */
export const routeTableSchema = z
  .strictObject({
    upstreams: z.record(
      z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be a name of lower-case letters, digits and hyphens'),
      upstreamSchema,
    ),
    routes: z.record(routePrefix, routesAt),
    dropRequestHeaders: droppedHeaders.default([]),
  })
  .superRefine((table, ctx) => {
    const fault = (path: PropertyKey[], message: string) => ctx.addIssue({ code: 'custom', path, message })
    for (const [name, { responseHeaders }] of Object.entries(table.upstreams)) {
      if (responseHeaders && 'cache-control' in lowerCased(responseHeaders.set))
        fault(
          ['upstreams', name, 'responseHeaders'],
          'cannot set Cache-Control: set it on the public routes that may be cached',
        )
    }
    for (const [prefixOf, at] of Object.entries(table.routes)) {
      for (const [index, one] of at.entries()) {
        const place = ['routes', prefixOf, ...(at.length > 1 ? [index] : [])]
        if (!Object.hasOwn(table.upstreams, one.upstream))
          fault([...place, 'upstream'], `names the upstream ${one.upstream}, which is not under upstreams`)
        if (one.permission && one.mandate === 'none')
          fault(
            [...place, 'permission'],
            'needs mandate: required or optional: without a mandate there are no rules',
          )
        for (const [field, message] of contradictions(prefixOf, one))
          fault([...place, ...(field ? [field] : [])], message)
      }
    }
    for (const [place, message] of contradictionsBetween(table.routes)) fault(place, message)
  })

export type RouteFile = z.infer<typeof routeTableSchema>
