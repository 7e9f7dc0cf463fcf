import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** A running demo upstream. */
export interface DemoUpstream {
  url: string
  stop: () => Promise<void>
}

const program = fileURLToPath(new URL('../../examples/demo-upstream.js', import.meta.url))

/** Starts the program of `examples/` on a free port. It ends with this process in any case. */
export async function startDemoUpstream(): Promise<DemoUpstream> {
  const child = fork(program, { env: {}, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  const [first] = (await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => {
      throw new Error(`the demo upstream ended at its start, with ${String(code)}`)
    }),
  ])) as [unknown]
  const { url } = z.object({ url: z.string() }).parse(first)
  return {
    url,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
