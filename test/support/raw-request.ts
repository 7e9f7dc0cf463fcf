import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

/** An answer, read to its end. */
export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Sends exactly these header lines (name, value, name, value, …), repeated ones too; `Host` is among them or is not sent. */
export async function rawRequest(url: string, lines: string[], method = 'GET'): Promise<RawAnswer> {
  const sent = request(url, { method, headers: lines, agent: false })
  sent.end()
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }
}
