import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { z } from 'zod'
import type { Config } from '../config.js'
import type { Logger } from '../observability/logger.js'
import type { Prepared } from '../gateway/compose.js'
import type { Lifecycle } from '../gateway/lifecycle.js'
import { answerWorker } from './worker-metrics.js'

/** The message of the primary process to a worker: what a worker cannot prepare for itself. */
const task = z.object({
  databaseUrl: z.string(),
  setRole: z.boolean(),
  demoUrl: z.string().optional(),
  secrets: z.record(z.string(), z.string()),
})

/** A worker's message once it listens to its primary process. An earlier message would be lost. */
const asksForTask = 'ready for a task'

/**
 * A worker that ends sooner than this after its start is replaced later, so that a fault at the start does
 * not loop.
 */
const shortLifeMs = 5000

/** Generated secrets that all workers must share. */
const shared = ['APP_JWT_KEY_SECRET', 'SECRET_KEY'] as const

/**
 * Starts the workers, each a node of its own, and replaces one that crashes. Returns the public URL when all
 * listen. Rejects when a worker ends during its start.
 */
export async function startWorkers(
  config: Config,
  prepared: Prepared,
  logger: Logger,
  lifecycle: Lifecycle,
): Promise<string> {
  let stopping = false
  const secrets = Object.fromEntries(
    shared.flatMap((name) => (config[name] === undefined ? [] : [[name, config[name]]])),
  )
  const start = (): Worker => {
    const startedAt = performance.now()
    const worker = cluster.fork()
    worker.on('message', (message: unknown) => {
      if (message === asksForTask) worker.send({ ...prepared, secrets })
    })
    answerWorker(worker)
    worker.once('exit', (code, signal) => {
      if (stopping) return
      logger.error('a worker ended and is replaced', { pid: worker.process.pid, code, signal })
      setTimeout(
        () => {
          if (!stopping) start()
        },
        performance.now() - startedAt < shortLifeMs ? shortLifeMs : 0,
      )
    })
    return worker
  }
  // each accepts for itself: what this process had handed to one that was killed would hang for ever
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const first = Array.from({ length: config.GATEWAY_WORKERS }, start)
  lifecycle.onStop('workers', async () => {
    stopping = true
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
    await Promise.all(
      workers.map(async (worker) => {
        const exited = once(worker, 'exit')
        worker.process.kill('SIGTERM')
        await exited
      }),
    )
  })
  process.on('SIGHUP', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGHUP')
  })
  const [url] = await Promise.all(first.map(listening))
  return url ?? ''
}

/** Returns the URL that a worker listens on. Rejects when the worker ends before it listens. */
async function listening(worker: Worker): Promise<string> {
  return await new Promise((resolve, reject) => {
    worker.on('message', (message: unknown) => {
      const parsed = z.object({ listening: z.string() }).safeParse(message)
      if (parsed.success) resolve(parsed.data.listening)
    })
    worker.once('exit', (code) =>
      reject(new Error(`a worker ended at its start, with ${String(code)}; its log says why`)),
    )
  })
}

/** In a worker: returns what the primary process prepared, and the configuration with the shared secrets. */
export async function receiveTask(config: Config): Promise<{ config: Config; prepared: Prepared }> {
  const received = new Promise<z.infer<typeof task>>((resolve) => {
    const onMessage = (message: unknown) => {
      const parsed = task.safeParse(message)
      if (!parsed.success) return // of something else, such as metrics
      process.off('message', onMessage)
      resolve(parsed.data)
    }
    process.on('message', onMessage)
  })
  process.send?.(asksForTask)
  const { secrets, databaseUrl, setRole, demoUrl } = await received
  return { config: Object.freeze({ ...config, ...secrets }), prepared: { databaseUrl, setRole, demoUrl } }
}

/** In a worker: reports to the primary process that the worker listens. */
export function tellListening(url: string): void {
  process.send?.({ listening: url })
}
