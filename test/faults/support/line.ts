import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** A line between a node and Postgres that can be made to fail as networks do. */
export interface Line {
  /** The database's URL through this line. */
  url: string
  /**
   * Relays nothing any more, in either direction or from the node only, and tells nobody: connections stay
   * open, new ones too.
   */
  blackHole: (direction?: 'both' | 'requests') => void
  /** Relays again: what was held back follows. */
  heal: () => void
  /**
   * Relays new connections again; those of before never hear anything any more, as when a firewall has
   * forgotten them.
   */
  healNewOnly: () => void
  /** Breaks all connections; new ones hear nothing any more once they have logged in. */
  stallAfterLogin: () => void
  /** Breaks all connections and refuses new ones. */
  refuse: () => void
  /** Breaks all connections; new ones are relayed. */
  reset: () => void
  /** Holds each chunk of bytes back for that long, in one direction or both. */
  delay: (milliseconds: () => number, direction?: 'both' | 'answers') => void
  stop: () => Promise<void>
}

interface Relayed {
  client: net.Socket
  server: net.Socket
  dead: boolean
}

/** Starts a line to the server of a Postgres URL. */
export async function startLine(target: string): Promise<Line> {
  const { hostname, port } = new URL(target)
  const relayed = new Set<Relayed>()
  let opened: Promise<void> = Promise.resolve()
  let open: (() => void) | undefined
  let refusing = false
  let stalling = false
  let delayMs: { of: () => number; direction: 'both' | 'answers' } = { of: () => 0, direction: 'both' }

  let held: 'both' | 'requests' = 'both'
  const holdBack = (direction: 'both' | 'requests' = 'both') => {
    held = direction
    if (open) return
    opened = new Promise((resolve) => {
      open = resolve
    })
  }
  const release = () => {
    open?.()
    open = undefined
  }
  const relay = (one: Relayed, from: net.Socket, to: net.Socket) => {
    let queue = Promise.resolve()
    const pass = (act: () => void, pause: number) => {
      const due = performance.now() + pause
      queue = queue.then(async () => {
        const early = due - performance.now()
        if (early > 0) await wait(early)
        while (open && (held === 'both' || from === one.client)) await opened
        if (!one.dead) act()
      })
    }
    const readyForQuery = (chunk: Buffer) => from === one.server && chunk.includes('Z\0\0\0\x05')
    from.on('data', (chunk: Buffer) =>
      pass(
        () => {
          to.write(chunk)
          one.dead ||= stalling && readyForQuery(chunk)
        },
        delayMs.direction === 'both' || from === one.server ? delayMs.of() : 0,
      ),
    )
    from.on('error', () => undefined)
    from.on('close', () =>
      pass(() => {
        to.destroy()
        relayed.delete(one)
      }, 0),
    )
  }
  const breakAll = () => {
    for (const one of relayed) {
      one.client.resetAndDestroy()
      one.server.destroy()
    }
    relayed.clear()
  }

  const listener = net.createServer((client) => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    const server = net.connect(Number(port), hostname)
    client.setNoDelay(true)
    server.setNoDelay(true)
    const one: Relayed = { client, server, dead: false }
    relayed.add(one)
    relay(one, client, server)
    relay(one, server, client)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const own = new URL(target)
  own.hostname = '127.0.0.1'
  own.port = String((listener.address() as net.AddressInfo).port)

  return {
    url: own.href,
    blackHole: holdBack,
    heal: () => {
      refusing = false
      stalling = false
      release()
    },
    healNewOnly: () => {
      for (const one of relayed) one.dead = true
      release()
    },
    stallAfterLogin: () => {
      stalling = true
      breakAll()
    },
    refuse: () => {
      refusing = true
      breakAll()
    },
    reset: breakAll,
    delay: (milliseconds, direction = 'both') => {
      delayMs = { of: milliseconds, direction }
    },
    stop: async () => {
      release()
      breakAll()
      listener.close()
      await once(listener, 'close')
    },
  }
}
