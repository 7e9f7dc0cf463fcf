import { once } from 'node:events'
import net from 'node:net'

/** What a gateway's connections are for, by the name that they log in with. */
export type Kind = 'lease' | 'pool'

/**
 * One address for two servers: where new connections lead is decided here, and those of before stay where
 * they are until they are cut.
 */
export interface Address {
  port: number
  /** New connections lead to that port. */
  lead: (port: number) => void
  /** Breaks connections, all or those that are chosen. */
  cut: (isChosen?: (kind: Kind) => boolean) => void
  close: () => Promise<void>
}

interface Relayed {
  client: net.Socket
  server: net.Socket
  kind: Kind
}

/**
 * The kind of a connection, of its StartupMessage: parameters are names and values that end in zero bytes.
 */
function kindOf(startup: Buffer): Kind {
  const parts = startup.toString('latin1').split('\0')
  return parts[parts.indexOf('application_name') + 1] === 'mandate-gateway lease' ? 'lease' : 'pool'
}

export async function startAddress(first: number): Promise<Address> {
  const relayed = new Set<Relayed>()
  let target = first
  const listener = net.createServer((client) => {
    client.on('error', () => undefined)
    client.setNoDelay(true)
    client.once('data', (startup: Buffer) => {
      const server = net.connect(target, '127.0.0.1')
      server.setNoDelay(true)
      const one: Relayed = { client, server, kind: kindOf(startup) }
      relayed.add(one)
      server.on('error', () => undefined)
      server.write(startup)
      client.pipe(server)
      server.pipe(client)
      const end = () => {
        relayed.delete(one)
        client.destroy()
        server.destroy()
      }
      client.on('close', end)
      server.on('close', end)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const cut = (isChosen: (kind: Kind) => boolean = () => true) => {
    for (const { client, kind } of relayed) if (isChosen(kind)) client.destroy()
  }
  return {
    port: (listener.address() as net.AddressInfo).port,
    lead: (port) => {
      target = port
    },
    cut,
    close: async () => {
      cut()
      listener.close()
      await once(listener, 'close')
    },
  }
}
