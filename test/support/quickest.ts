/** How long `work` takes at its quickest, in milliseconds: what the machine does besides does not count. */
export function quickest(times: number, work: () => void): number {
  let best = Infinity
  for (let time = 0; time < times; time += 1) {
    const began = performance.now()
    work()
    best = Math.min(best, performance.now() - began)
  }
  return best
}

/**
 * How much of the processor this process needs at its best for work that is waited for, in milliseconds: what
 * other programs do besides does not count.
 */
export async function cheapestOf(times: number, work: () => Promise<unknown>): Promise<number> {
  let best = Infinity
  for (let time = 0; time < times; time += 1) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1000)
  }
  return best
}
