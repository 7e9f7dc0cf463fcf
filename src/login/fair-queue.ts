import { GatewayError } from '../errors.js'

/**
 * Runs work, some at a time; the lanes take turns, so that one lane with much work does not hold up the
 * others.
 */
export interface FairQueue {
  /**
   * Resolves as `work` does. Rejects with `overloaded` where there is no room, also later, if a lane with
   * less work needs the place.
   */
  run: <Result>(lane: string, work: () => Promise<Result>) => Promise<Result>
}

interface Waiting {
  begin: () => void
  refuse: () => void
}

const overloaded = () => new GatewayError('overloaded', 'Too many logins at once. Try again shortly.')

/**
 * Makes an empty queue. `atATime` run at once; of those that wait, at most `maxWaiting`, one lane holds no
 * more than leaves room for the others: when all places are taken, the newest of the longest lane gives way
 * to a shorter lane.
 */
export function createFairQueue({ atATime, maxWaiting }: { atATime: number; maxWaiting: number }): FairQueue {
  const lanes = new Map<string, Waiting[]>() // in the order of their turns
  let running = 0
  let waiting = 0

  const beginNext = () => {
    const [first] = lanes
    if (first === undefined || running >= atATime) return
    const [lane, line] = first
    const next = line.shift()
    lanes.delete(lane)
    if (line.length > 0) lanes.set(lane, line) // its next turn is after all others
    waiting -= 1
    next?.begin()
  }

  const makeRoom = (lane: string) => {
    if (waiting < maxWaiting) return
    const longest = [...lanes.values()].reduce((one, other) => (other.length > one.length ? other : one))
    if (longest.length <= (lanes.get(lane)?.length ?? 0) + 1) throw overloaded()
    waiting -= 1
    longest.pop()?.refuse()
  }

  return {
    run: async (lane, work) => {
      makeRoom(lane)
      return await new Promise((resolve, reject) => {
        const begin = () => {
          running += 1
          void work()
            .then(resolve, reject)
            .finally(() => {
              running -= 1
              beginNext()
            })
        }
        const line = lanes.get(lane)
        const one = { begin, refuse: () => reject(overloaded()) }
        if (line) line.push(one)
        else lanes.set(lane, [one])
        waiting += 1
        beginNext()
      })
    },
  }
}
