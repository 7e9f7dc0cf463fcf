import type { AuditEvent } from './event.js'

/** Lets a few of what comes in floods through, and says of the rest how many there were. */
export interface Folding {
  /** Past 20 a minute of one user, mandate and action the rest is folded into one event with its count. */
  refusal: (event: AuditEvent) => void
  /** At most once a minute for one user, mandate and action. */
  once: (event: AuditEvent) => void
  /** Passes on the counts of minutes that are over; of all where the process ends. */
  settle: (all?: boolean) => void
}

const windowMs = 60_000
const refusalsPerWindow = 20

/** How often something happened in the running minute, and the last of it. */
interface Tally {
  since: number
  count: number
  last: AuditEvent
}

const keyOf = ({ userId, mandateId, action }: AuditEvent) => `${userId} ${mandateId} ${action}`

/** Makes a folding that passes on to `record`. `now` is monotonic, in milliseconds. */
export function foldRefusals(record: (event: AuditEvent) => void, now: () => number = () => performance.now()): Folding {
  const refusals = new Map<string, Tally>()
  const entries = new Map<string, number>()

  const isOver = (since: number) => now() - since >= windowMs
  const tell = ({ count, last }: Tally) => {
    const folded = count - refusalsPerWindow
    if (folded > 0) record({ ...last, details: { ...last.details, folded } })
  }

  return {
    refusal: (event) => {
      const key = keyOf(event)
      const known = refusals.get(key)
      const tally = known && !isOver(known.since) ? known : { since: now(), count: 0, last: event }
      if (known && known !== tally) tell(known)
      tally.count += 1
      tally.last = event
      refusals.set(key, tally)
      if (tally.count <= refusalsPerWindow) record(event)
    },
    once: (event) => {
      const key = keyOf(event)
      const since = entries.get(key)
      if (since !== undefined && !isOver(since)) return
      entries.set(key, now())
      record(event)
    },
    settle: (all = false) => {
      for (const [key, tally] of refusals) {
        if (!all && !isOver(tally.since)) continue
        refusals.delete(key)
        tell(tally)
      }
      for (const [key, since] of entries) if (isOver(since)) entries.delete(key)
    },
  }
}
