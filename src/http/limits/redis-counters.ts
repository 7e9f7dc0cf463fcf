import { Redis } from 'ioredis'
import type { Logger } from '../../observability/logger.js'

/** An amount to be added to a counter that ends, if it begins with this, after so many milliseconds. */
export interface Addition {
  key: string
  amount: number
  ttlMs: number
}

/** A counter as all who share it see it. */
export interface SharedCount {
  count: number
  /** How long it goes on. */
  ttlMs: number
}

/**
 * Counters that all nodes share. Never rejects: what Redis does not answer in time is undefined, and the
 * caller goes on by itself.
 */
export interface SharedCounters {
  isUp: () => boolean
  add: (additions: Addition[]) => Promise<(SharedCount | undefined)[]>
  forget: (key: string) => Promise<void>
  close: () => void
}

/** Longer than a healthy Redis ever takes; short enough for a login to wait for. */
const answerWithinMs = 250
const retryMs = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1000)
const prefix = 'mandate-gateway:limit:'

/** Tells once when Redis is gone, and once when it is back. */
function noteOutages(client: Redis, logger: Logger) {
  let isDown = false
  let lastError: unknown
  const down = (error: unknown = lastError) => {
    if (isDown) return
    isDown = true
    logger.warn('Redis does not answer: until it does, each node counts limits by itself', { error })
  }
  client.on('error', (error) => {
    lastError = error
    down(error)
  })
  client.on('close', () => down())
  client.on('ready', () => {
    if (isDown) logger.info('Redis answers again: limits are counted together')
    isDown = false
  })
  return { down, isDown: () => isDown }
}

/** Connects to Redis, for as long as it takes and whenever it is gone: nobody waits for it to be there. */
export function connectRedisCounters({ url, logger }: { url: string; logger: Logger }): SharedCounters {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: answerWithinMs,
    connectTimeout: 1000,
    retryStrategy: retryMs,
  })
  const outages = noteOutages(client, logger)
  const isUp = () => client.status === 'ready' && !outages.isDown()

  /** A Redis that keeps silent may have lost this connection, or hang: another connection will tell. */
  const giveUp = (error: unknown) => {
    outages.down(error)
    if (client.status === 'ready') client.disconnect(true)
  }

  const ask = async <Result>(work: () => Promise<Result>): Promise<Result | undefined> => {
    if (!isUp()) return undefined
    try {
      return await work()
    } catch (error) {
      giveUp(error)
      return undefined
    }
  }

  return {
    isUp,
    add: async (additions) => (await ask(() => addAll(client, additions))) ?? additions.map(() => undefined),
    forget: async (key) => {
      await ask(() => client.del(prefix + key))
    },
    close: () => {
      client.removeAllListeners('close')
      client.disconnect()
    },
  }
}

/** One round trip for all. Rejects when one of them was not answered. */
async function addAll(client: Redis, additions: Addition[]): Promise<SharedCount[]> {
  const pipeline = client.pipeline()
  for (const { key, amount, ttlMs } of additions) {
    pipeline.set(prefix + key, 0, 'PX', Math.max(1, Math.ceil(ttlMs)), 'NX')
    pipeline.incrby(prefix + key, amount)
    pipeline.pttl(prefix + key)
  }
  const results = (await pipeline.exec()) ?? []
  const counts: SharedCount[] = []
  const endless: Addition[] = []
  for (const [index, addition] of additions.entries()) {
    const [count, ttl] = [results[3 * index + 1], results[3 * index + 2]]
    const error = count?.[0] ?? ttl?.[0]
    if (error) throw error
    if (ttl?.[1] === -1) endless.push(addition) // it ended just between the first two commands
    counts.push({
      count: Number(count?.[1]),
      ttlMs: ttl?.[1] === -1 ? addition.ttlMs : Math.max(0, Number(ttl?.[1])),
    })
  }
  for (const { key, ttlMs } of endless) await client.pexpire(prefix + key, Math.max(1, Math.ceil(ttlMs)))
  return counts
}

/** Resolves when the Redis at `url` answers; rejects with why it does not within `withinMs`. */
export async function reachesRedis(url: string, withinMs: number): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: withinMs,
    commandTimeout: withinMs,
  })
  let said: unknown
  client.on('error', (error) => {
    said = error
  })
  try {
    await client.connect()
    await client.ping()
  } catch (error) {
    throw said ?? error
  } finally {
    client.disconnect()
  }
}
