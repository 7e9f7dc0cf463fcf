import { setTimeout } from 'node:timers/promises'

/** Asks again and again until `look` answers something; fails after `withinMs`. */
export async function until<Found>(look: () => Promise<Found | undefined>, withinMs = 5000): Promise<Found> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`it has not come within ${withinMs} ms`)
    await setTimeout(10)
  }
}
