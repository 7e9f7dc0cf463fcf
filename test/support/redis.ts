import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** A real Redis on a port of its own, which keeps nothing on disk. */
export interface TestRedis {
  url: string
  start: () => Promise<void>
  /** Ends it, and with it all that it held. */
  stop: () => Promise<void>
  /** Freezes it: connections stay, and nothing is answered. */
  freeze: () => void
  thaw: () => void
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Finds a port for a Redis; it runs once it is started. */
export async function prepareRedis(): Promise<TestRedis> {
  const port = await freePort()
  let child: ChildProcess | undefined
  return {
    url: `redis://127.0.0.1:${port}`,
    start: async () => {
      const started = spawn(
        'redis-server',
        ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
        { stdio: ['ignore', 'pipe', 'ignore'] },
      )
      child = started
      let said = ''
      for await (const chunk of started.stdout) {
        said += String(chunk)
        if (said.includes('Ready to accept connections')) break
      }
      started.stdout.resume()
    },
    stop: async () => {
      if (!child) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      child = undefined
      await ended
    },
    freeze: () => {
      child?.kill('SIGSTOP')
    },
    thaw: () => {
      child?.kill('SIGCONT')
    },
  }
}
