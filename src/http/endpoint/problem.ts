import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, Request } from 'express'
import { GatewayError, kindOf, statusOf } from '../../errors.js'
import type { Logger } from '../../observability/logger.js'
import { hasCors, type CorsHeaders } from '../cors.js'
import type { Answer, ErrorForm } from './endpoint.js'
import { writeHead } from '../head.js'
import { isNavigation } from '../pages/html.js'
import { problemPage, type Identified } from '../pages/problem-page.js'

/** Returns the `WWW-Authenticate` header (RFC 6750 §3). It names the error only when a token failed. */
function challenge(kind: 'scheme' | 'token', { detail }: GatewayError): string {
  return kind === 'token'
    ? `Bearer realm="mandate-gateway", error="invalid_token", error_description="${detail}"`
    : 'Bearer realm="mandate-gateway"'
}

/** Returns the headers of a refusal, with those that it brings itself: names and values, in turn. */
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

/** Returns whether a request asks for reasons by the preference (RFC 7240) of that name. */
const prefersReasons = ({ headers }: Pick<Request, 'headers'>) =>
  [headers.prefer].flat().some((one) => one?.split(/[,;]/).some((part) => part.trim() === 'reasons'))

/**
 * Returns an RFC 9457 problem document. The reasons by code are an extension, for callers that ask for them.
 */
export function problemDocument(
  error: GatewayError,
  { state: { id: requestId }, headers }: Identified,
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
    ...error.members,
    ...(error.errors ? { errors: error.errors.map(({ path, message }) => ({ path, message })) } : {}),
    ...(reasons.length > 0 ? { reasons } : {}),
  }
}

/**
 * Returns whatever was thrown as a GatewayError. Any other error becomes an `internal_error` without details.
 */
export function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError
    ? error
    : new GatewayError('internal_error', 'Internal error', { cause: error })
}

/** Returns an RFC 6749 §5.2 error, for the endpoints that owe one to their callers. */
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

/** Returns the status of a response. Other proxies understand three of them. */
function answeredStatus(error: GatewayError, form: ErrorForm | undefined): number {
  const status = statusOf(error.code)
  if (form !== 'verify' || status === 401) return status
  return status >= 500 ? 503 : 403
}

/**
 * Returns the page by which a part of the gateway shows a person an error in its own words; undefined without
 * one.
 */
export type ErrorPage = (error: GatewayError, status: number, req: Request) => Answer | undefined

/** The parts of a request that a refusal needs. The parser may have refused the request itself. */
export interface Refused extends Pick<Request, 'headers'> {
  state: Pick<Request['state'], 'id' | 'errorForm' | 'settledPathname' | 'settledSearch'>
  method?: string | undefined
}

/** Paths for programs only, whatever they accept. */
const forPrograms = /^\/portal\/api(?:\/|$)/

/** The path at which other proxies ask, whatever else is wrong with the request. */
const verifyPath = /^\/auth\/verify(?:[/?]|$)/

/** Notes that another proxy asks. The response then has one of the statuses that such proxies understand. */
export function noteForm(req: Refused, url: string): void {
  if (req.state.errorForm === undefined && verifyPath.test(url)) req.state.errorForm = 'verify'
}

/** Returns a page for a refusal that a person sees. Programs and other proxies have their own forms. */
const pageFor = (req: Refused, error: GatewayError, status: number) =>
  req.state.errorForm !== 'oauth' &&
  req.state.errorForm !== 'verify' &&
  isNavigation(req) &&
  !forPrograms.test(req.state.settledPathname ?? '')
    ? problemPage(req, error, status)
    : undefined

/** Returns a refusal's response: names and values of headers in turn, and the body. */
export function refusalOf(
  req: Refused,
  error: GatewayError,
  ownPage?: Answer,
): { status: number; headers: string[]; body: Buffer } {
  const status = answeredStatus(error, req.state.errorForm)
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
  const oauth = req.state.errorForm === 'oauth'
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
  req.state.refusal = error.code
  if (statusOf(error.code) >= 500 && error.cause !== undefined) {
    logger.error('request failed', { requestId: req.state.id, code: error.code, error: error.cause })
  }
  if (error.code === 'token_invalid' && typeof error.cause === 'string')
    logger.debug('the token does not count', { requestId: req.state.id, why: error.cause })
}

interface ProblemOptions {
  ownPage?: ErrorPage
  onRefusal?: (req: Request, error: GatewayError) => void
  /** The CORS headers of a request that was refused before it had any. */
  corsHeaders?: CorsHeaders
}

/**
 * Creates the one place where an error becomes a response: problem+json (RFC 9457) or a page, without
 * anything that the caller must not see.
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
      // Half a response has been sent. Cutting the connection is the only way to say so. In HTTP/1.0 a
      // response may end with its connection, so it is reset.
      if (req.httpVersion === '1.0') req.socket.resetAndDestroy()
      else res.destroy()
      return
    }
    noteForm(req, req.url)
    const { status, headers, body } = refusalOf(
      req,
      error,
      ownPage(error, answeredStatus(error, req.state.errorForm), req),
    )
    writeHead(res, status, [...(hasCors(res) ? [] : corsHeaders(req.headers.origin)), ...headers])
    res.end(body) // Node leaves it out for HEAD
  }
}
