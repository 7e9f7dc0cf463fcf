/**
 * The smallest service behind the gateway: it answers what it was told of the caller. It believes the
 * gateway's headers, as it listens on the loopback interface only. `PORT` chooses the port (9000).
 */
import { createServer } from 'node:http'

const server = createServer((req, res) => {
  const { 'x-username': user, 'x-mandate-id': mandate, 'x-access-level': level } = req.headers
  res.writeHead(200, { 'Content-Type': 'application/json' })
  res.end(`${JSON.stringify({ hello: user, mandate, level, path: req.url })}\n`)
})

server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null)
    process.stdout.write(`The service listens on http://127.0.0.1:${address.port}\n`)
})
