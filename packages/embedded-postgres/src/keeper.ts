import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from './errors.js'
import type { Server } from './launch.js'
import { shutDown, type Link } from './server.js'
import { DirectoryInUse, openSession } from './session.js'

const retryMs = 50
const maxRetryMs = 2000

/** Brings server and lock back whenever the connection breaks; returns the way to stop both. */
export function keepRunning(server: Server, first: Link, log: (message: string) => void): () => Promise<void> {
  const stopping = new AbortController()
  const { signal } = stopping
  const isStopping = () => signal.aborted
  let ours = true

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
      await link.closed
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
    if (ours) await shutDown(server.cluster)      // one that was starting meanwhile
  }

  const keeping = keep()
  let stopped: Promise<void> | undefined
  return () => stopped ??= stop()
}
