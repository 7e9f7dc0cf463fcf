import { once } from 'node:events'
import {
  request,
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'

/** One request, which goes out as it is written here: no library normalises its path. */
export interface Question {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: Buffer | string
  /** The address of the loopback network that the client has. */
  from?: string
  /** Whose connections are used; without one each request has its own. */
  agent?: Agent
}

/** An answer that has arrived whole. */
export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
  text: string
}

/** Begins a request whose body the caller writes and whose answer the caller reads. */
export function begin(
  url: string,
  path: string,
  { method = 'GET', headers = {}, from, agent }: Question = {},
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
  response.catch(() => undefined) // a test that does not wait for it need not hear of it
  return { req, response }
}

/** Sends a request and reads the answer to its end. */
export async function ask(url: string, path: string, question: Question = {}): Promise<Answer> {
  const { req, response } = begin(url, path, question)
  req.end(question.body)
  const res = await response
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return { status: res.statusCode ?? 0, headers: res.headers, body, text: body.toString() }
}
