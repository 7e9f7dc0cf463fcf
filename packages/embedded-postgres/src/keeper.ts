import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf } from './errors.js'
import type { Server } from './launch.js'
import { shutDown, type Link } from './server.js'
import { DirectoryInUse, openSession } from './session.js'

const retryMs = 50
const maxRetryMs = 2000

/** How to end a server that is kept running. */
export interface Kept {
  /** Stops server and lock; resolves when the server has exited. */
  stop: () => Promise<void>
  /**
   * Tells the server to stop, without waiting: for a process that ends now. Does nothing once it has stopped.
   */
  interrupt: () => void
}

/** Restarts server and lock whenever the connection breaks. */
export function keepRunning(server: Server, first: Link, log: (message: string) => void): Kept {
  const stopping = new AbortController()
  const { signal } = stopping
  const isStopping = () => signal.aborted
  let ours = true
  let running: number | undefined

  async function recover(): Promise<Link | undefined> {
    for (let wait = retryMs; !isStopping(); wait = Math.min(2 * wait, maxRetryMs)) {
      await sleep(wait, undefined, { signal }).catch(() => undefined)
      try {
        const link = await openSession(server, signal)
        ours = true
        return link
      } catch (error) {
        if (isStopping()) return undefined
        if (error instanceof DirectoryInUse) ours = false
        log(`embedded Postgres is away: ${messageOf(error)}`)
      }
    }
    return undefined
  }

  async function keep(): Promise<void> {
    for (let link: Link | undefined = first; link !== undefined;) {
      running = link.pid
      await link.closed
      running = undefined
      if (isStopping()) return
      log('embedded Postgres closed the lock connection: starting it again if it is gone')
      link = await recover()
      if (link !== undefined) log(`embedded Postgres is back on port ${server.port}`)
    }
  }

  async function stop(): Promise<void> {
    stopping.abort()
    // The lock goes only with the server, so that nobody takes over one that is about to stop.
    if (ours) await shutDown(server.cluster)
    await keeping
    if (ours) await shutDown(server.cluster) // one that was starting meanwhile
  }

  const keeping = keep()
  let stopped: Promise<void> | undefined
  return {
    stop: () => (stopped ??= stop()),
    interrupt: () => {
      if (running === undefined) return
      try {
        process.kill(running, 'SIGINT') // a fast shutdown
      } catch (error) {
        if (!hasCode(error, 'ESRCH')) throw error
      }
    },
  }
}
