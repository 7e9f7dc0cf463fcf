import { once } from 'node:events'
import {
  request,
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'

/** What a request carries beside its path, which is sent as it is written: nothing normalises it. */
export interface RequestOptions {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: Buffer | string
  /** The client's address, one of the loopback network. */
  from?: string
  /** Keeps connections; each request has its own without one. */
  agent?: Agent
}

/** A response that has arrived whole. */
export interface HttpResponse {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
  text: string
}

/** Starts a request. The caller writes its body, ends it, and reads the response. */
export function beginRequest(
  url: string,
  path: string,
  { method = 'GET', headers = {}, from, agent }: RequestOptions = {},
): { req: ClientRequest; response: Promise<IncomingMessage> } {
  const { hostname, port } = new URL(url)
  const req = request({
    hostname,
    port,
    path,
    method,
    headers,
    agent: agent ?? false,
    ...(from === undefined ? {} : { localAddress: from }),
  })
  const response = once(req, 'response').then(([res]) => res as IncomingMessage)
  response.catch(() => undefined) // a test that does not await it need not see it fail
  return { req, response }
}

/** Reads a response to its end. Rejects if its connection ends before. */
export async function readResponse(res: IncomingMessage): Promise<HttpResponse> {
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return { status: res.statusCode ?? 0, headers: res.headers, body, text: body.toString() }
}

/** Sends a request and returns the whole response. */
export async function sendRequest(
  url: string,
  path: string,
  options: RequestOptions = {},
): Promise<HttpResponse> {
  const { req, response } = beginRequest(url, path, options)
  req.end(options.body)
  return await readResponse(await response)
}

/** Sends a JSON body by POST and returns the whole response. */
export const postJson = (url: string, path: string, body: unknown, options: RequestOptions = {}) =>
  sendRequest(url, path, {
    ...options,
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...options.headers },
    body: JSON.stringify(body),
  })

/** Returns the headers of a request with this access token. */
export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

/** Returns the status of a response and the `code` in its JSON body, to compare both at once. */
export const statusAndCode = ({ status, text }: { status: number; text: string }) => [
  status,
  (JSON.parse(text) as { code?: string }).code,
]
