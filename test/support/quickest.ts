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

/** As `quickest`, of work that is waited for. */
export async function quickestOf(times: number, work: () => Promise<unknown>): Promise<number> {
  let best = Infinity
  for (let time = 0; time < times; time += 1) {
    const began = performance.now()
    await work()
    best = Math.min(best, performance.now() - began)
  }
  return best
}
