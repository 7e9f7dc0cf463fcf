import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Express, Request, Response } from 'express'
import { z } from 'zod'
import { policyAreas } from '../../domain/assurance-policy.js'
import { isUuid } from '../../domain/ids.js'
import { fieldError, reasonOf } from '../../domain/reasons.js'
import { GatewayError, type Fault, notFound } from '../../errors.js'
import { entriesOf, readBody, type BodyType } from '../body.js'
import { hasBody } from '../unfinished-body.js'
import { asError, chain, type Middleware } from './chain.js'
import type { CrossSitePolicy } from '../cross-site.js'
import { refuseIfMatch } from './etag.js'
import { endWithout, writeHead } from '../head.js'
import type { Entry } from '../limits/limit-entry.js'
import { parseCookies } from '../parse-cookies.js'
import type { Admit, Policy } from './policy.js'

/** A request with inputs that the endpoint's schemas have parsed. */
export interface Call<Body, Query> {
  req: Request
  res: Response
  body: Body
  query: Query
  params: Record<string, string>
  /**
   * Decides again, on the current state, whether the caller may have this. Rejects with the refusal. For long
   * responses.
   */
  decideAgain: () => Promise<void>
}

/** Text that is not JSON. */
interface Text {
  type: 'text/html' | 'text/csv' | 'text/plain' | 'text/plain; version=0.0.4' | 'application/yaml'
  content: string
}

/** Lines that are sent as fast as the client reads. A rejection cuts the response. */
interface Lines {
  type: 'application/x-ndjson'
  content: AsyncIterable<string>
}

/** A handler's response: a status, and a body that is sent as JSON, if there is one. */
export interface Answer {
  status: number
  body?: unknown
  /** In place of a body: text of another type, such as a page or a table. */
  text?: Text
  /** In place of a body: a response of any length. */
  lines?: Lines
  /** Headers of this response, such as `Location` and `ETag`. */
  headers?: Record<string, string>
  /** How long caches may keep the response. By default they may not, because it belongs to its caller. */
  cacheSeconds?: number
}

/** The form of errors: RFC 6749 §5.2, the statuses for other proxies (401, 403 and 503 only), or pages. */
export type ErrorForm = 'oauth' | 'verify' | 'page' | 'portal'

/** One endpoint of the gateway. `access` is its policy. There is no default, so it cannot be forgotten. */
export interface EndpointSpec<Body extends z.ZodType, Query extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** Express's pattern, such as `/system/tokens/:id`. */
  path: string
  summary: string
  access: Policy
  /** `always` when the endpoint sets cookies. */
  crossSite?: CrossSitePolicy
  /** The limit of a public endpoint that has no other limit but the one by address. */
  entry?: Entry
  body?: Body
  bodyTypes?: BodyType[]
  /** Whether a request without a body counts as one with an empty object. */
  bodyOptional?: true
  query?: Query
  /**
   * Set for a change of something without an ETag, such as ending a session. Its `If-Match` could not be
   * checked and is refused.
   */
  unversioned?: true
  /**
   * The form of errors in place of problem+json: RFC 6749 §5.2; only the statuses that other proxies
   * understand; pages, for a person; or always the portal's pages.
   */
  errors?: ErrorForm
  /**
   * The bodies of successful responses, by status: a schema, or the type of a text that is not JSON; null
   * without a body.
   */
  answers: Record<number, z.ZodType | Text['type'] | null>
  handle: (call: Call<z.infer<Body>, z.infer<Query>>) => Answer | Promise<Answer>
}

/** An endpoint, ready to be mounted and described. */
export interface Endpoint extends Omit<EndpointSpec<z.ZodType, z.ZodType>, 'handle'> {
  /** Parses the inputs. It waits for the body, if there is one. */
  receive?: Middleware
  serve: Middleware
}

const faultsOf = (error: z.ZodError): Fault[] =>
  error.issues.map((issue) => ({
    path: issue.path.join('.'),
    message: issue.message,
    reason: reasonOf(issue),
  }))

function parseInput<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.infer<Schema> {
  const parsed = schema.safeParse(value)
  if (!parsed.success)
    throw new GatewayError('validation_failed', `The ${what} is not valid`, {
      errors: faultsOf(parsed.error),
    })
  return parsed.data
}

/** A call without dry-run support rejects `dryRun` and changes nothing. */
const withoutRehearsal = z.looseObject({
  dryRun: z.undefined(fieldError('no_dry_run')).optional(),
})

/**
 * Returns the `id` of a path such as `/system/tokens/:id`, or another id parameter, in lower case. Throws
 * `not_found` for a text that is not a UUID, because nothing has such an id.
 */
export function idOf({ params }: Pick<Call<unknown, unknown>, 'params'>, name = 'id'): string {
  const id = params[name] ?? ''
  if (!isUuid(id)) throw notFound()
  return id.toLowerCase()
}

/** Sends a response that belongs to its caller, unless it says that caches may keep it. */
export function sendAnswer(res: Response, { status, body, text, headers = {}, cacheSeconds }: Answer): void {
  const own = Object.entries(headers).flat()
  own.push('Cache-Control', cacheSeconds === undefined ? 'no-store' : `public, max-age=${cacheSeconds}`)
  if (body === undefined && text === undefined) {
    endWithout(res, status, own)
    return
  }
  const content = text?.content ?? JSON.stringify(body)
  own.push(
    'Content-Type',
    `${text?.type ?? 'application/json'}; charset=utf-8`,
    'Content-Length',
    String(Buffer.byteLength(content)),
  )
  writeHead(res, status, own)
  res.end(content) // a string is sent with the head in one write, a buffer in two
}

const decideAgain = (req: Request, res: Response) =>
  new Promise<void>((resolve, reject) => {
    if (req.state.again)
      void req.state.again(req, res, (refusal?: unknown) =>
        refusal === undefined ? resolve() : reject(asError(refusal)),
      )
    else resolve()
  })

/** Sends lines as they come. A client that goes away ends them. */
async function sendLines(
  req: Request,
  res: Response,
  { status, headers = {} }: Answer,
  { type, content }: Lines,
): Promise<void> {
  writeHead(res, status, [
    ...Object.entries(headers).flat(),
    'Cache-Control',
    'no-store',
    'Content-Type',
    `${type}; charset=utf-8`,
  ])
  if (req.method === 'HEAD') {
    res.end()
    return
  }
  try {
    await pipeline(Readable.from(content, { objectMode: false }), res)
  } catch (error) {
    if (!isClientGone(error)) throw error
  }
}

const isClientGone = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'

/** Returns the step that reads a body. One that may be missing is read only if it is there. */
function receiverOf({
  bodyTypes = ['application/json'],
  bodyOptional,
}: Pick<EndpointSpec<z.ZodType, z.ZodType>, 'bodyTypes' | 'bodyOptional'>): Middleware {
  const read = readBody(bodyTypes)
  if (!bodyOptional) return read
  return (req, res, next) => {
    if (hasBody(req)) return read(req, res, next)
    next()
    return undefined
  }
}

/** Returns the operators' area that a path belongs to, where its callers are known. */
function areaOf({ path, access }: Pick<EndpointSpec<z.ZodType, z.ZodType>, 'path' | 'access'>) {
  return access.auth === 'public' || access.auth === 'portal'
    ? undefined
    : policyAreas.find((area) => path.startsWith(`/${area}/`))
}

/**
 * Declares an endpoint: its policy, inputs and responses in one place. The documentation is made of it, too.
 */
export function endpoint<Body extends z.ZodType = z.ZodUndefined, Query extends z.ZodType = z.ZodUnknown>(
  spec: EndpointSpec<Body, Query>,
): Endpoint {
  const { handle, ...description } = spec
  const area = areaOf(spec)
  const querySchema = spec.query ?? (spec.method === 'get' ? undefined : withoutRehearsal)
  const send = (req: Request, res: Response, answer: Answer) =>
    answer.lines ? sendLines(req, res, answer, answer.lines) : sendAnswer(res, answer)
  const serve: Middleware = (req, res) => {
    if (spec.unversioned) refuseIfMatch(req)
    const given: unknown = spec.bodyOptional ? (req.body ?? {}) : req.body
    const body = spec.body ? parseInput(spec.body, given, 'body') : (undefined as z.infer<Body>)
    const query = (querySchema &&
      parseInput<z.ZodType>(
        querySchema,
        entriesOf(new URLSearchParams(req.state.search)),
        'query',
      )) as z.infer<Query>
    const answer = handle({
      req,
      res,
      body,
      query,
      params: req.params as Record<string, string>,
      decideAgain: () => decideAgain(req, res),
    })
    return answer instanceof Promise ? answer.then((one) => send(req, res, one)) : send(req, res, answer)
  }
  return {
    ...description,
    ...(spec.body ? { receive: receiverOf(spec) } : {}),
    ...(area ? { access: { ...spec.access, area } } : {}),
    serve,
  }
}

/** Returns the handler of an endpoint for requests that match it. */
function laneOf(
  { path, access, crossSite, entry, errors, receive, serve }: Endpoint,
  admit: Admit,
  parse?: Middleware,
): Middleware {
  const { steps, again } = admit(access, crossSite ?? 'ambient', { entry, parse })
  const note: Middleware = (req, res, next) => {
    req.state.routePattern = path
    if (errors) req.state.errorForm = errors
    if (again) req.state.again = again
    if (errors === 'oauth') {
      res.pendingHeaders.push('Pragma', 'no-cache') // RFC 6749 §5.1
    }
    next()
  }
  return chain(note, ...steps, ...(receive ? [receive, ...(again ? [again] : [])] : []), serve)
}

/**
 * Serves endpoints without path parameters directly, because Express's router tries each route in turn.
 * Passes on everything else.
 */
export function serveDirectly(endpoints: Endpoint[], admit: Admit): Middleware {
  const lanes = new Map(
    endpoints
      .filter(({ path }) => !path.includes(':'))
      .map((one) => [`${one.method.toUpperCase()} ${one.path}`, laneOf(one, admit)]),
  )
  return (req, res, next) => {
    const lane = lanes.get(`${req.method === 'HEAD' ? 'GET' : req.method} ${req.state.pathname}`)
    if (!lane) {
      next()
      return
    }
    req.params = {}
    lane(req, res, next)
  }
}

/**
 * Mounts endpoints behind the admission of each one's policy. Other methods of a path respond 405; OPTIONS
 * lists the methods.
 */
export function mountEndpoints(app: Express, endpoints: Endpoint[], admit: Admit): void {
  for (const one of endpoints)
    if (one.path.includes(':')) app[one.method](one.path, laneOf(one, admit, parseCookies))
  for (const path of new Set(endpoints.map((one) => one.path))) {
    const methods = endpoints.filter((one) => one.path === path).map((one) => one.method.toUpperCase())
    app.all(path, answerOtherMethods(path, methods.includes('GET') ? [...methods, 'HEAD'] : methods))
  }
}

/** Mounts pages. Express's router serves them whatever their path is, because they are requested rarely. */
export function mountPages(app: Express, pages: Endpoint[], admit: Admit): void {
  for (const one of pages) {
    app[one.method](one.path, laneOf(one, admit, parseCookies))
    app.all(one.path, answerOtherMethods(one.path, ['GET', 'HEAD']))
  }
}

function answerOtherMethods(path: string, methods: string[]): Middleware {
  const allow = [...methods, 'OPTIONS'].join(', ')
  return (req, res) => {
    req.state.routePattern = path
    if (req.method !== 'OPTIONS')
      throw new GatewayError('method_not_allowed', `The methods of this path are ${allow}`, {
        headers: { Allow: allow },
      })
    endWithout(res, 204, ['Allow', allow])
  }
}
