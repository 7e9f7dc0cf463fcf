import { setTimeout } from 'node:timers/promises'

/**
 * Asks again and again until `look` answers something other than `undefined` or `false`; fails after
 * `withinMs`.
 */
export async function until<Found>(
  look: () => Promise<Found | false | undefined>,
  withinMs = 5000,
): Promise<Found> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`it has not come within ${withinMs} ms`)
    await setTimeout(10)
  }
}
