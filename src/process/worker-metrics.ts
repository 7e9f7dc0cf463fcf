import cluster, { type Worker } from 'node:cluster'
import { AggregatorRegistry, type Registry } from 'prom-client'
import { z } from 'zod'
import type { Scrape } from '../observability/metrics.js'

/**
 * What workers count, added up by the process that keeps them: whoever scrapes must not see one worker now
 * and another then. A worker that asks (`wanted`) gets the text of all; one that is asked (`asked`) answers
 * its own counts.
 */
const message = z.union([
  z.object({ metrics: z.literal('wanted'), id: z.number() }),
  z.object({ metrics: z.literal('text'), id: z.number(), text: z.string() }),
  z.object({ metrics: z.literal('asked'), id: z.number() }),
  z.object({ metrics: z.literal('counts'), id: z.number(), counts: z.array(z.unknown()) }),
])
type Message = z.infer<typeof message>

/**
 * A worker that does not answer within this time is left out: it is starting, ending, or busy beyond measure.
 */
const patienceMs = 2000

const messageOf = (value: unknown): Message | undefined => message.safeParse(value).data

/** Counts of one worker; undefined when it does not answer. */
function countsOf(worker: Worker, id: number): Promise<unknown[] | undefined> {
  return new Promise((resolve) => {
    const settle = (counts: unknown[] | undefined) => {
      clearTimeout(late)
      worker.off('message', onMessage)
      resolve(counts)
    }
    const onMessage = (value: unknown) => {
      const told = messageOf(value)
      if (told?.metrics === 'counts' && told.id === id) settle(told.counts)
    }
    const late = setTimeout(() => settle(undefined), patienceMs)
    worker.on('message', onMessage)
    worker.send({ metrics: 'asked', id } satisfies Message, (error) => {
      if (error) settle(undefined)
    })
  })
}

let asked = 0

/** In the primary process: what all workers count, added up. */
export async function gatherMetrics(): Promise<string> {
  const id = (asked += 1)
  const workers = Object.values(cluster.workers ?? {})
  const counts = await Promise.all(
    workers.flatMap((worker) => (worker?.isConnected() === true ? [countsOf(worker, id)] : [])),
  )
  return await AggregatorRegistry.aggregate(counts.filter((one) => one !== undefined)).metrics()
}

/** In the primary process: answers a worker that is asked for the metrics of all. */
export function answerWorker(worker: Worker): void {
  worker.on('message', (value: unknown) => {
    const told = messageOf(value)
    if (told?.metrics !== 'wanted') return
    void gatherMetrics().then((text) => {
      if (worker.isConnected()) worker.send({ metrics: 'text', id: told.id, text } satisfies Message)
    })
  })
}

/** In a worker: answers the primary process what is counted here. */
export function answerPrimary(registry: Registry): void {
  process.on('message', (value: unknown) => {
    const told = messageOf(value)
    if (told?.metrics !== 'asked') return
    void registry
      .getMetricsAsJSON()
      .then((counts) => process.send?.({ metrics: 'counts', id: told.id, counts } satisfies Message))
  })
}

/** In a worker: the metrics of all, from the primary process. Rejects when it does not answer. */
export const scrapeAll: Scrape = () =>
  new Promise((resolve, reject) => {
    const id = (asked += 1)
    const settle = () => {
      clearTimeout(late)
      process.off('message', onMessage)
    }
    const onMessage = (value: unknown) => {
      const told = messageOf(value)
      if (told?.metrics !== 'text' || told.id !== id) return
      settle()
      resolve(told.text)
    }
    const late = setTimeout(() => {
      settle()
      reject(new Error('the primary process did not answer'))
    }, 2 * patienceMs)
    process.on('message', onMessage)
    process.send?.({ metrics: 'wanted', id } satisfies Message)
  })
