import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from 'undici'

/**
 * Sends one request to its own server. undici reads its HTTP parser from disk at the first connection, and by
 * then `npm ci` may have removed the package under a running gateway.
 */
export async function loadClient(): Promise<void> {
  // Workers share ports: without `exclusive`, a starting worker could be given the gateway's own requests.
  const server = createServer((_req, res) => res.end()).listen({
    port: 0,
    host: '127.0.0.1',
    exclusive: true,
  })
  await once(server, 'listening')
  const client = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const { body } = await client.request({ method: 'GET', path: '/' })
    await body.dump()
  } finally {
    await client.close()
    server.close()
  }
}
