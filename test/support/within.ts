import { until } from './until.js'

/** What a promise comes to; fails when it takes longer than that. */
export async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not come within ${ms} ms`)), ms)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Looks again and again until there is something to see; fails after `withinMs`. */
export async function eventually<Found>(look: () => Found | undefined, withinMs = 5000): Promise<Found> {
  return await until(() => Promise.resolve(look()), withinMs)
}
