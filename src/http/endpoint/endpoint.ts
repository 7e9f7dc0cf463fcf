import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Express, Request, Response } from 'express'
import { z } from 'zod'
import { isUuid } from '../../domain/ids.js'
import { fieldError, reasonOf } from '../../domain/reasons.js'
import { GatewayError, type Fault, notFound } from '../../errors.js'
import { entriesOf, readBody, type BodyType } from '../body.js'
import { asError, chain, type Middleware } from './chain.js'
import type { CrossSitePolicy } from '../cross-site.js'
import { refuseIfMatch } from './etag.js'
import { endWithout, writeHead } from '../head.js'
import type { Entry } from '../limits/limit-entry.js'
import { parseCookies } from '../parse-cookies.js'
import type { Admit, Policy } from './policy.js'

/** A request whose inputs have been parsed by the endpoint's schemas. */
export interface Call<Body, Query> {
  req: Request
  res: Response
  body: Body
  query: Query
  params: Record<string, string>
  /**
   * Decides once more, by what holds now, whether the caller may have this; rejects with the refusal. For
   * answers that take long.
   */
  decideAgain: () => Promise<void>
}

/** Text that is not JSON. */
interface Text {
  type: 'text/html' | 'text/csv' | 'text/plain' | 'text/plain; version=0.0.4' | 'application/yaml'
  content: string
}

/**
 * Lines that are sent as they come, as fast as the client takes them; what rejects meanwhile cuts the answer.
 */
interface Lines {
  type: 'application/x-ndjson'
  content: AsyncIterable<string>
}

/** What a handler answers: a status, and a body that is sent as JSON where there is one. */
export interface Answer {
  status: number
  body?: unknown
  /** In place of a body: text of another type, such as a page or a table. */
  text?: Text
  /** In place of a body: an answer of any length. */
  lines?: Lines
  /** Headers that belong to this answer, such as `Location` and `ETag`. */
  headers?: Record<string, string>
  /** How long anybody may keep the answer. Without it nobody may: it belongs to its caller alone. */
  cacheSeconds?: number
}

/**
 * One endpoint of the gateway itself. `access` is what a caller must be; there is no default, so it cannot be
 * forgotten.
 */
export interface EndpointSpec<Body extends z.ZodType, Query extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** Express's pattern, such as `/system/tokens/:id`. */
  path: string
  summary: string
  access: Policy
  /** `always` where the endpoint gives out cookies. */
  crossSite?: CrossSitePolicy
  /** The limit of an endpoint that anybody may ask and that has no other limit but the one by address. */
  entry?: Entry
  body?: Body
  bodyTypes?: BodyType[]
  query?: Query
  /**
   * Set on a change of something that has no ETag, such as ending a session: an `If-Match`, which it could
   * not check, is refused.
   */
  unversioned?: true
  /**
   * RFC 6749 §5.2 errors in place of problem+json; or only the statuses that other proxies understand; or
   * pages, where a person looks at them; or the portal's pages, always.
   */
  errors?: 'oauth' | 'verify' | 'page' | 'portal'
  /**
   * What each good answer's body is, by status: its schema, or the type of a text that is no JSON; null where
   * there is no body.
   */
  answers: Record<number, z.ZodType | Text['type'] | null>
  handle: (call: Call<z.infer<Body>, z.infer<Query>>) => Answer | Promise<Answer>
}

/** An endpoint, ready to be mounted and described. */
export interface Endpoint extends Omit<EndpointSpec<z.ZodType, z.ZodType>, 'handle'> {
  /** Waits for the body, where there is one. */
  receive?: Middleware
  serve: Middleware
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /**
       * Set where errors are answered as RFC 6749 §5.2 has them, as other proxies understand them (401, 403
       * and 503 only), or as pages.
       */
      errorForm?: 'oauth' | 'verify' | 'page' | 'portal'
      /** Decides the same once more; absent where nobody is asked. */
      again?: Middleware
    }
  }
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

/** Who wants to know what a call would do must not have it done. */
const withoutRehearsal = z.looseObject({
  dryRun: z.undefined(fieldError('no_dry_run')).optional(),
})

/**
 * The `id` of a path such as `/system/tokens/:id`, or another parameter that is one, lower-case. Throws
 * `not_found` for what is no UUID: nothing has such an id.
 */
export function idOf({ params }: Pick<Call<unknown, unknown>, 'params'>, name = 'id'): string {
  const id = params[name] ?? ''
  if (!isUuid(id)) throw notFound()
  return id.toLowerCase()
}

/** Sends what belongs to its caller alone, unless the answer says that it may be kept. */
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
  res.end(content) // a string goes out with the head in one write, a buffer in two parts
}

const decideAgain = (req: Request, res: Response) =>
  new Promise<void>((resolve, reject) => {
    if (req.again)
      void req.again(req, res, (refusal?: unknown) =>
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

/**
 * Declares an endpoint: what it asks, takes and answers, in one place, which the documentation is made of
 * too.
 */
export function endpoint<Body extends z.ZodType = z.ZodUndefined, Query extends z.ZodType = z.ZodUnknown>(
  spec: EndpointSpec<Body, Query>,
): Endpoint {
  const { handle, ...description } = spec
  const querySchema = spec.query ?? (spec.method === 'get' ? undefined : withoutRehearsal)
  const send = (req: Request, res: Response, answer: Answer) =>
    answer.lines ? sendLines(req, res, answer, answer.lines) : sendAnswer(res, answer)
  const serve: Middleware = (req, res) => {
    if (spec.unversioned) refuseIfMatch(req)
    const body = spec.body ? parseInput(spec.body, req.body, 'body') : (undefined as z.infer<Body>)
    const query = (querySchema &&
      parseInput<z.ZodType>(
        querySchema,
        entriesOf(new URLSearchParams(req.search)),
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
    ...(spec.body ? { receive: readBody(spec.bodyTypes ?? ['application/json']) } : {}),
    serve,
  }
}

/** The whole life of a request to an endpoint, once it has matched. */
function laneOf(
  { path, access, crossSite, entry, errors, receive, serve }: Endpoint,
  admit: Admit,
  parse?: Middleware,
): Middleware {
  const { steps, again } = admit(access, crossSite ?? 'ambient', { entry, parse })
  const note: Middleware = (req, res, next) => {
    req.routePattern = path
    if (errors) req.errorForm = errors
    if (again) req.again = again
    if (errors === 'oauth') {
      res.pendingHeaders.push('Pragma', 'no-cache') // RFC 6749 §5.1
    }
    next()
  }
  return chain(note, ...steps, ...(receive ? [receive, ...(again ? [again] : [])] : []), serve)
}

/**
 * Serves endpoints whose path has no parameters without asking Express's router, which looks at each route in
 * turn; passes on everything else.
 */
export function serveDirectly(endpoints: Endpoint[], admit: Admit): Middleware {
  const lanes = new Map(
    endpoints
      .filter(({ path }) => !path.includes(':'))
      .map((one) => [`${one.method.toUpperCase()} ${one.path}`, laneOf(one, admit)]),
  )
  return (req, res, next) => {
    const lane = lanes.get(`${req.method === 'HEAD' ? 'GET' : req.method} ${req.pathname}`)
    if (!lane) {
      next()
      return
    }
    req.params = {}
    lane(req, res, next)
  }
}

/**
 * Mounts endpoints behind what `admit` makes of each one's policy. Other methods of a path are 405, OPTIONS
 * answers them.
 */
export function mountEndpoints(app: Express, endpoints: Endpoint[], admit: Admit): void {
  for (const one of endpoints)
    if (one.path.includes(':')) app[one.method](one.path, laneOf(one, admit, parseCookies))
  for (const path of new Set(endpoints.map((one) => one.path))) {
    const methods = endpoints.filter((one) => one.path === path).map((one) => one.method.toUpperCase())
    app.all(path, answerOtherMethods(path, methods.includes('GET') ? [...methods, 'HEAD'] : methods))
  }
}

/**
 * Mounts pages, which Express's router serves whatever their path looks like: they are not what is asked for
 * most.
 */
export function mountPages(app: Express, pages: Endpoint[], admit: Admit): void {
  for (const one of pages) {
    app[one.method](one.path, laneOf(one, admit, parseCookies))
    app.all(one.path, answerOtherMethods(one.path, ['GET', 'HEAD']))
  }
}

function answerOtherMethods(path: string, methods: string[]): Middleware {
  const allow = [...methods, 'OPTIONS'].join(', ')
  return (req, res) => {
    req.routePattern = path
    if (req.method !== 'OPTIONS')
      throw new GatewayError('method_not_allowed', `The methods of this path are ${allow}`, {
        headers: { Allow: allow },
      })
    endWithout(res, 204, ['Allow', allow])
  }
}
