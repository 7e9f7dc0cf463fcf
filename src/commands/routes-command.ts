import { exitCodes } from '../domain/exit-codes.js'
import { explainRoute, type Explanation, type Matched } from '../proxy/explain-route.js'
import { openRoutes } from '../proxy/open-routes.js'
import { RouteTableError, loadRouteTable, type RouteTable } from '../proxy/route-table.js'

/** What a command has to say, and the exit code that goes with it. */
export interface CommandResult {
  exitCode: number
  stdout: string
  stderr: string
}

interface Options {
  file: string
  /** One JSON object in place of words. */
  json: boolean
}

const asJson = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`
const asLines = (lines: string[]) => lines.map((line) => `${line}\n`).join('')
const counted = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`

async function load(file: string): Promise<{ table: RouteTable } | { faults: string[] }> {
  try {
    return { table: await loadRouteTable(file) }
  } catch (error) {
    if (error instanceof RouteTableError) return { faults: error.faults }
    throw error
  }
}

function unusedUpstreams({ upstreams, routes }: RouteTable): string[] {
  const used = new Set(routes.map(({ upstream }) => upstream))
  return Object.keys(upstreams).filter((name) => !used.has(name))
}

/** `routes check`: whether a gateway would start with this route file, and what in it has no use. */
export async function checkRoutes({ file, json }: Options): Promise<CommandResult> {
  const loaded = await load(file)
  if ('faults' in loaded) {
    const { faults } = loaded
    const told = { file, routes: null, upstreams: null, faults, warnings: [] }
    return {
      exitCode: exitCodes.configuration,
      stdout: json ? asJson(told) : '',
      stderr: json ? '' : asLines(faults),
    }
  }
  const [routes, upstreams] = [loaded.table.routes.length, Object.keys(loaded.table.upstreams).length]
  const warnings = [
    ...unusedUpstreams(loaded.table).map((name) => `no route uses the upstream ${name}`),
    ...openRoutes(loaded.table),
  ].map((one) => `${file}: warning: ${one}`)
  return {
    exitCode: exitCodes.ok,
    stdout: json
      ? asJson({ file, routes, upstreams, faults: [], warnings })
      : `${file}: ${counted(routes, 'route')}, ${counted(upstreams, 'upstream')}, no faults\n`,
    stderr: json ? '' : asLines(warnings),
  }
}

/** `routes match`: which route a request would take, and all that it has to pass there. */
export async function matchRoute({
  file,
  json,
  method,
  target,
  host,
}: Options & { method: string; target: string; host?: string | undefined }): Promise<CommandResult> {
  const loaded = await load(file)
  if ('faults' in loaded) {
    return {
      exitCode: exitCodes.configuration,
      stdout: json ? asJson({ file, faults: loaded.faults }) : '',
      stderr: json ? '' : asLines(loaded.faults),
    }
  }
  const explanation = explainRoute(loaded.table, method, target, host)
  return {
    exitCode: explanation.outcome === 'matched' ? exitCodes.ok : exitCodes.no,
    stdout: json ? asJson(explanation) : inWords(explanation),
    stderr: '',
  }
}

function inWords(explanation: Explanation): string {
  const pairs = [['request', `${explanation.method} ${explanation.target}`], ...linesOf(explanation)] as const
  const width = Math.max(...pairs.map(([key]) => key.length)) + 2
  return asLines(pairs.map(([key, value]) => key.padEnd(width) + value))
}

function linesOf(explanation: Explanation): [string, string][] {
  switch (explanation.outcome) {
    case 'refused':
      return [
        ['path', 'not settled'],
        ['answer', `${explanation.status} ${explanation.code}: ${explanation.detail}`],
      ]
    case 'own':
      return [
        ['path', explanation.path],
        ['route', 'none: the path belongs to the gateway itself'],
      ]
    case 'not_found':
      return [
        ['path', explanation.path],
        ['route', 'none'],
        ['answer', '404 not_found'],
      ]
    case 'matched':
      return matchedLines(explanation)
  }
}

function matchedLines(matched: Matched): [string, string][] {
  const {
    path,
    route,
    upstream,
    targets,
    sent,
    auth,
    mandate,
    instance,
    mandateFrom,
    guard,
    rateLimit,
    concurrency,
    bodyLimit,
    timeouts,
    credentials,
    decide,
  } = matched
  return [
    ['path', path],
    ['route', route],
    [
      'upstream',
      `${upstream}: ${targets.map((target) => (target === 'demo' ? 'demo, the demo upstream where it runs' : target)).join(', ')}`,
    ],
    ['sent', sent ?? 'nothing'],
    ['auth', authInWords[auth]],
    [
      'credentials',
      credentials === 'pass'
        ? 'pass: Authorization and the cookies auth_token and refresh_token go on, and the service may set these'
        : auth === 'public'
          ? 'strip: the gateway’s cookies do not go on'
          : 'strip: neither Authorization nor the gateway’s cookies go on',
    ],
    [
      'decide',
      decide === 'watch'
        ? 'watch: NOTHING IS ENFORCED here but limits; what would be answered is noted'
        : 'enforce',
    ],
    ['mandate', placeInWords(mandate, 'X-Mandate-Id', mandateFrom)],
    ['instance', placeInWords(instance, 'X-Instance-Id', mandateFrom)],
    ['guard', guard ? `${guard}, each use is audited` : 'none'],
    ['permission', permissionInWords(matched)],
    [
      'rate limit',
      rateLimit
        ? `${counted(rateLimit.limit.requests, 'request')} in ${rateLimit.limit.windowMs / 1000} s, by ${auth === 'public' ? 'address' : rateLimit.by}`
        : 'none of its own',
    ],
    [
      'concurrency',
      concurrency
        ? `${counted(concurrency.limit, 'request')} at a time, ${concurrency.by === 'route' ? 'of all together' : `by ${concurrency.by}`}`
        : 'no limit of its own',
    ],
    ['body limit', bodyLimit === null ? 'none' : counted(bodyLimit, 'byte')],
    [
      'timeouts',
      `${timeouts.connectMs} ms to connect, ${timeouts.headersMs} ms for the head, ${timeouts.bodyMs} ms between parts of the body`,
    ],
    ...extraLines(matched),
  ]
}

const rulesInWords = ({ set, removed }: NonNullable<Matched['requestHeaders']>) =>
  [...set.map((name) => `${name} set`), ...removed.map((name) => `${name} removed`)].join(', ')

function extraLines({
  host,
  addresses,
  tell,
  preserveHost,
  exposeHeaders,
  requestHeaders,
  responseHeaders,
}: Matched): [string, string][] {
  return [
    ...(host ? [['host', host.join(', ')] as [string, string]] : []),
    ...(addresses
      ? [
          ['addresses', `${addresses.join(', ')}; others are refused: 403 address_not_allowed`] as [
            string,
            string,
          ],
        ]
      : []),
    ...(tell
      ? [['told', tell.length > 0 ? tell.join(', ') : 'nothing of the caller'] as [string, string]]
      : []),
    ...(preserveHost ? [['sent host', 'the one that the client asked for'] as [string, string]] : []),
    ...(requestHeaders ? [['request headers', rulesInWords(requestHeaders)] as [string, string]] : []),
    ...(responseHeaders ? [['response headers', rulesInWords(responseHeaders)] as [string, string]] : []),
    ...(exposeHeaders ? [['exposed headers', exposeHeaders.join(', ')] as [string, string]] : []),
  ]
}

const authInWords: Record<Matched['auth'], string> = {
  required: 'required: a valid token',
  optional: 'optional: no token is anonymous, a bad one is refused',
  public: 'public: nobody is asked, and Authorization is passed on',
  portal: 'portal: a client of the portal',
}

function placeInWords(place: Matched['mandate'], header: string, sources: Matched['mandateFrom']): string {
  if (place === 'none') return `none: ${header} is not read`
  if (sources.join() !== 'header') return `${place}: named in ${sources.join(', ')}`
  return place === 'required'
    ? `required: ${header} must be sent`
    : `optional: ${header} is checked where it is sent`
}

function permissionInWords({ method, permission }: Matched): string {
  if (!permission) return 'none'
  const subject = `${permission.context} ${permission.item}`
  return permission.action
    ? `${permission.action} on ${subject}`
    : `on ${subject}: ${method} means no action, so everybody is refused: 403 permission_denied`
}
