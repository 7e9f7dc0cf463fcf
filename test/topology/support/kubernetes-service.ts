import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/**
 * A Service of Kubernetes as kube-proxy makes one: it spreads connections over addresses, knows nothing of
 * HTTP and never tries again.
 */
export interface Service {
  url: string
  /** Sends no further connections there; those that are open stay. */
  remove: (pod: string) => void
  add: (pod: string) => void
  /** How many connections to a pod are open. */
  connectionsTo: (pod: string) => number
  stop: () => Promise<void>
}

/** Starts a Service over pods. A pod sees the address that the client has. */
export async function startService(pods: string[]): Promise<Service> {
  const present = [...pods]
  const open = new Map<Socket, string>()
  let next = 0
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pod = present[next++ % present.length] ?? ''
    const { hostname, port } = new URL(pod)
    const toPod = connect({
      host: hostname,
      port: Number(port),
      localAddress: client.remoteAddress ?? '127.0.0.1',
      allowHalfOpen: true,
    })
    open.set(client, pod)
    client
      .on('error', () => toPod.destroy())
      .on('close', () => {
        open.delete(client)
        toPod.destroy()
      })
    toPod.on('error', () => client.resetAndDestroy())
    client.pipe(toPod).pipe(client)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    remove: (pod) => {
      present.splice(present.indexOf(pod), 1)
    },
    add: (pod) => {
      present.push(pod)
    },
    connectionsTo: (pod) => [...open.values()].filter((one) => one === pod).length,
    stop: async () => {
      for (const client of open.keys()) client.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
