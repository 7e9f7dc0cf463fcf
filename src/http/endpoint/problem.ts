import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, Request } from 'express'
import { GatewayError, kindOf, statusOf } from '../../errors.js'
import type { Logger } from '../../observability/logger.js'
import { hasCors, type CorsHeaders } from '../cors.js'
import type { Answer } from './endpoint.js'
import { writeHead } from '../head.js'
import { isNavigation } from '../pages/html.js'
import { problemPage } from '../pages/problem-page.js'

/** Returns the `WWW-Authenticate` header (RFC 6750 §3). It names the error only when a token failed. */
function challenge(kind: 'scheme' | 'token', { detail }: GatewayError): string {
  return kind === 'token'
    ? `Bearer realm="mandate-gateway", error="invalid_token", error_description="${detail}"`
    : 'Bearer realm="mandate-gateway"'
}

/** The response headers that go with a refusal, with those it brings itself: names and values, in turn. */
function refusalHeaders(error: GatewayError): string[] {
  const kind = kindOf(error.code)
  const headers = Object.entries(error.headers ?? {}).flat()
  if (kind.challenge !== undefined && error.headers?.['WWW-Authenticate'] === undefined)
    headers.push('WWW-Authenticate', challenge(kind.challenge, error))
  if (kind.retryAfterSeconds !== undefined && error.headers?.['Retry-After'] === undefined)
    headers.push('Retry-After', String(kind.retryAfterSeconds))
  headers.push('Cache-Control', 'no-store')
  return headers
}

/** Returns the reasons of a refusal by code: of all of it, then of its fields, in the order of `errors`. */
const reasonsOf = ({ reason, errors = [] }: GatewayError) => [
  ...(reason ? [{ code: reason.code, values: reason.values }] : []),
  ...errors.flatMap(({ path, reason: why }) => (why ? [{ path, code: why.code, values: why.values }] : [])),
]

/** Whether a request asks for reasons by the preference (RFC 7240) of that name. */
const prefersReasons = ({ headers }: Pick<Request, 'headers'>) =>
  [headers.prefer].flat().some((one) => one?.split(/[,;]/).some((part) => part.trim() === 'reasons'))

/** An RFC 9457 problem document. The reasons by code are an extension, for those who ask for them. */
export function problemDocument(
  error: GatewayError,
  { id: requestId, headers }: Pick<Request, 'id' | 'headers'>,
  status = statusOf(error.code),
): Record<string, unknown> {
  const reasons = prefersReasons({ headers }) ? reasonsOf(error) : []
  return {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: error.detail,
    code: error.code,
    requestId,
    ...(error.errors ? { errors: error.errors.map(({ path, message }) => ({ path, message })) } : {}),
    ...(reasons.length > 0 ? { reasons } : {}),
  }
}

/**
 * Whatever was thrown, as a GatewayError: what is not one already is an `internal_error` that says nothing.
 */
export function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError
    ? error
    : new GatewayError('internal_error', 'Internal error', { cause: error })
}

/** An RFC 6749 §5.2 error, for the endpoints that owe one to their callers. */
function oauthDocument(error: GatewayError): Record<string, unknown> {
  const status = statusOf(error.code)
  const code =
    status === 401
      ? 'invalid_client'
      : status === 429 || status === 503
        ? 'temporarily_unavailable'
        : status >= 500
          ? 'server_error'
          : 'invalid_request'
  const faults = error.errors?.map((fault) => `${fault.path}: ${fault.message}`).join('; ')
  return { error: code, error_description: faults ? `${error.detail}: ${faults}` : error.detail }
}

/** The status of an answer. Other proxies understand three of them. */
function answeredStatus(error: GatewayError, form: Request['errorForm']): number {
  const status = statusOf(error.code)
  if (form !== 'verify' || status === 401) return status
  return status >= 500 ? 503 : 403
}

/**
 * The page by which some part of the gateway tells a person of an error in its own words; undefined where it
 * does not.
 */
export type ErrorPage = (error: GatewayError, status: number, req: Request) => Answer | undefined

/** What a refusal needs to know of its request: less than a request where the parser has refused it. */
export type Refused = Pick<Request, 'id' | 'headers' | 'errorForm'> & { pathname?: string }

/** Where only programs ask, whatever they accept. */
const forPrograms = /^\/portal\/api(?:\/|$)/

/** The path at which other proxies ask, whatever else is wrong with the request. */
const verifyPath = /^\/auth\/verify(?:[/?]|$)/

/**
 * Notes that a request is another proxy's question, which is answered with the statuses that such proxies
 * understand.
 */
export function noteForm(req: Refused, url: string): void {
  if (req.errorForm === undefined && verifyPath.test(url)) req.errorForm = 'verify'
}

/** A page for each refusal that a person sees; programs and other proxies have their own forms. */
const pageFor = (req: Refused, error: GatewayError, status: number) =>
  req.errorForm !== 'oauth' &&
  req.errorForm !== 'verify' &&
  isNavigation(req) &&
  !forPrograms.test(req.pathname ?? '')
    ? problemPage(req, error, status)
    : undefined

/** Returns what a refusal says to its caller: names and values of headers in turn, and the body. */
export function refusalOf(
  req: Refused,
  error: GatewayError,
  ownPage?: Answer,
): { status: number; headers: string[]; body: Buffer } {
  const status = answeredStatus(error, req.errorForm)
  const { headers, body } = refusalBody(req, error, status, ownPage)
  return {
    status,
    headers: [...refusalHeaders(error), ...headers, 'Content-Length', String(body.length)],
    body,
  }
}

function refusalBody(
  req: Refused,
  error: GatewayError,
  status: number,
  ownPage: Answer | undefined,
): { headers: string[]; body: Buffer } {
  const shown = ownPage ?? pageFor(req, error, status)
  if (shown) {
    const { headers = {}, text } = shown
    return {
      headers: [...Object.entries(headers).flat(), 'Content-Type', 'text/html; charset=utf-8'],
      body: Buffer.from(text?.content ?? ''),
    }
  }
  const oauth = req.errorForm === 'oauth'
  const body = Buffer.from(JSON.stringify(oauth ? oauthDocument(error) : problemDocument(error, req, status)))
  return {
    headers: [
      'Content-Type',
      oauth ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8',
    ],
    body,
  }
}

function noteRefusal(req: Request, error: GatewayError, logger: Logger): void {
  req.refusal = error.code
  if (statusOf(error.code) >= 500 && error.cause !== undefined) {
    logger.error('request failed', { requestId: req.id, code: error.code, error: error.cause })
  }
  if (error.code === 'token_invalid' && typeof error.cause === 'string')
    logger.debug('the token does not count', { requestId: req.id, why: error.cause })
}

interface ProblemOptions {
  ownPage?: ErrorPage
  onRefusal?: (req: Request, error: GatewayError) => void
  /** The CORS headers of a request that was refused before it had any. */
  corsHeaders?: CorsHeaders
}

/**
 * The one place where an error becomes an answer: problem+json (RFC 9457) or a page, with nothing inside that
 * was not meant for the caller.
 */
export function answerProblem(
  logger: Logger,
  { ownPage = () => undefined, onRefusal = () => undefined, corsHeaders = () => [] }: ProblemOptions = {},
): ErrorRequestHandler {
  return (thrown: unknown, req, res, _next) => {
    const error = asGatewayError(thrown)
    onRefusal(req, error)
    noteRefusal(req, error, logger)
    if (res.headersSent) {
      // Half an answer is out: cutting the connection is the only way left to say that it is not whole.
      // whose answers may end with their connection
      if (req.httpVersion === '1.0') req.socket.resetAndDestroy()
      else res.destroy()
      return
    }
    noteForm(req, req.url)
    const { status, headers, body } = refusalOf(
      req,
      error,
      ownPage(error, answeredStatus(error, req.errorForm), req),
    )
    writeHead(res, status, [...(hasCors(res) ? [] : corsHeaders(req.headers.origin)), ...headers])
    res.end(body) // Node leaves it out where HEAD asked
  }
}
