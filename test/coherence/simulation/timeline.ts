import { setImmediate } from 'node:timers/promises'

interface Event {
  at: number
  order: number
  happen: Happening
}

/** What happens; `false` says that nothing did after all. */
export type Happening = () => false | undefined

const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Virtual time: what is to happen, in order. */
export class Timeline {
  now = 0
  happened = 0
  private readonly heap: Event[] = []
  private scheduled = 0

  at(time: number, happen: Happening): void {
    const event = { at: Math.max(time, this.now), order: this.scheduled, happen }
    this.scheduled += 1
    let place = this.heap.push(event) - 1
    for (
      let parent = (place - 1) >> 1;
      place > 0 && isBefore(event, this.heap[parent]!);
      parent = (place - 1) >> 1
    ) {
      this.heap[place] = this.heap[parent]!
      place = parent
    }
    this.heap[place] = event
  }

  /** Lets the next event happen, and all that follows from it without time passing. False: there is none. */
  async step(): Promise<boolean> {
    const event = this.take()
    if (!event) return false
    this.now = event.at
    this.happened += 1
    if (event.happen() !== false) await setImmediate()
    return true
  }

  private take(): Event | undefined {
    const [first] = this.heap
    const last = this.heap.pop()
    if (!first || !last || this.heap.length === 0) return first
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child + 1 < this.heap.length && isBefore(this.heap[child + 1]!, this.heap[child]!)) child += 1
      if (child >= this.heap.length || !isBefore(this.heap[child]!, last)) break
      this.heap[place] = this.heap[child]!
      place = child
    }
    this.heap[place] = last
    return first
  }
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
