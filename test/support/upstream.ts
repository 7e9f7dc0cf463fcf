import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as an upstream received it. */
export interface Received {
  method: string
  url: string
  /** Names as they were spelled, and values, in turn. */
  rawHeaders: string[]
  /** By lower-case name. */
  headers: IncomingMessage['headers']
  body: string
}

/** A real HTTP server that stands for a service behind the gateway. */
export interface Upstream {
  url: string
  server: Server
  /** What it has been asked for so far, oldest first. */
  received: Received[]
  /** The request that came last. */
  last: () => Received
  /** Answers requests from now on; without it: 200 with the request's method and URL as JSON. */
  answerWith: (handler: RequestListener | undefined) => void
  stop: () => Promise<void>
}

async function textOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}

/** Starts an upstream on a free port. */
export async function startUpstream(): Promise<Upstream> {
  const received: Received[] = []
  let handler: RequestListener | undefined
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (req, res) => {
    if (handler) {
      handler(req, res)
      return
    }
    textOf(req).then(
      (body) => {
        received.push({
          method: req.method ?? '',
          url: req.url ?? '',
          rawHeaders: req.rawHeaders,
          headers: req.headers,
          body,
        })
        res.setHeader('Content-Type', 'application/json')
        res.end(JSON.stringify({ method: req.method, url: req.url }))
      },
      () => res.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    received,
    last: () => {
      const last = received.at(-1)
      if (!last) throw new Error('the upstream has received nothing')
      return last
    },
    answerWith: (next) => {
      handler = next
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
