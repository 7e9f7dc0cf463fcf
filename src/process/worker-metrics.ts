import cluster, { type Worker } from 'node:cluster'
import { AggregatorRegistry, type Registry } from 'prom-client'
import { z } from 'zod'
import type { Scrape } from '../observability/metrics.js'

/**
 * The primary process adds up the metrics of its workers, so that every scrape sees all of them. A worker
 * requests the text of all with `wanted`, and receives `text`. The primary process requests the counts of a
 * worker with `asked`, and receives `counts`.
 */
const message = z.union([
  z.object({ metrics: z.literal('wanted'), id: z.number() }),
  z.object({ metrics: z.literal('text'), id: z.number(), text: z.string() }),
  z.object({ metrics: z.literal('asked'), id: z.number() }),
  z.object({ metrics: z.literal('counts'), id: z.number(), counts: z.array(z.unknown()) }),
])
type Message = z.infer<typeof message>

/**
 * A worker that does not respond within this time is left out: it starts, stops or is overloaded.
 */
const patienceMs = 2000

const messageOf = (value: unknown): Message | undefined => message.safeParse(value).data

/** Returns the counts of one worker; undefined when it does not respond in time. */
function countsOf(worker: Worker, id: number): Promise<unknown[] | undefined> {
  return new Promise((resolve) => {
    const settle = (counts: unknown[] | undefined) => {
      clearTimeout(late)
      worker.off('message', onMessage)
      resolve(counts)
    }
    const onMessage = (value: unknown) => {
      const received = messageOf(value)
      if (received?.metrics === 'counts' && received.id === id) settle(received.counts)
    }
    const late = setTimeout(() => settle(undefined), patienceMs)
    worker.on('message', onMessage)
    worker.send({ metrics: 'asked', id } satisfies Message, (error) => {
      if (error) settle(undefined)
    })
  })
}

let asked = 0

/** In the primary process: returns the metrics of all workers, added up, as Prometheus reads them. */
export async function gatherMetrics(): Promise<string> {
  const id = (asked += 1)
  const workers = Object.values(cluster.workers ?? {})
  const counts = await Promise.all(
    workers.flatMap((worker) => (worker?.isConnected() === true ? [countsOf(worker, id)] : [])),
  )
  return await AggregatorRegistry.aggregate(counts.filter((one) => one !== undefined)).metrics()
}

/** In the primary process: sends the metrics of all workers to a worker that requests them. */
export function answerWorker(worker: Worker): void {
  worker.on('message', (value: unknown) => {
    const received = messageOf(value)
    if (received?.metrics !== 'wanted') return
    void gatherMetrics().then((text) => {
      if (worker.isConnected()) worker.send({ metrics: 'text', id: received.id, text } satisfies Message)
    })
  })
}

/** In a worker: sends its own counts to the primary process on request. */
export function answerPrimary(registry: Registry): void {
  process.on('message', (value: unknown) => {
    const received = messageOf(value)
    if (received?.metrics !== 'asked') return
    void registry
      .getMetricsAsJSON()
      .then((counts) => process.send?.({ metrics: 'counts', id: received.id, counts } satisfies Message))
  })
}

/** In a worker: returns the metrics of all, from the primary process. Rejects when that does not respond. */
export const scrapeAll: Scrape = () =>
  new Promise((resolve, reject) => {
    const id = (asked += 1)
    const settle = () => {
      clearTimeout(late)
      process.off('message', onMessage)
    }
    const onMessage = (value: unknown) => {
      const received = messageOf(value)
      if (received?.metrics !== 'text' || received.id !== id) return
      settle()
      resolve(received.text)
    }
    const late = setTimeout(() => {
      settle()
      reject(new Error('the primary process did not answer'))
    }, 2 * patienceMs)
    process.on('message', onMessage)
    process.send?.({ metrics: 'wanted', id } satisfies Message)
  })
