import { LRUCache } from 'lru-cache'
import type { AuditEvent } from './event.js'

/** Another way to fold refusals: the key beside the user, and the number a minute. */
export interface Fold {
  by: string
  most: number
}

/** Limits floods of events: passes a few on, and counts the rest. */
export interface Folding {
  /** Past 20 a minute of one user, mandate and action, the rest become one event with a count. */
  refusal: (event: AuditEvent, fold?: Fold) => void
  /** Passes an event on at most once a minute for one user, mandate and action. */
  once: (event: AuditEvent) => void
  /**
   * Passes on the counts of past minutes. With `all`, also those of the current one, when the process ends.
   */
  settle: (all?: boolean) => void
}

const windowMs = 60_000
const refusalsPerWindow = 20

/** The count of an event in the current minute, and the last such event. */
interface Tally {
  since: number
  count: number
  most: number
  last: AuditEvent
}

/**
 * A limit, because callers can choose from how many addresses they come. Beyond it, counts are passed on
 * early.
 */
const mostKept = 10_000

const keyOf = ({ userId, mandateId, action }: AuditEvent, by = '') => `${userId} ${mandateId} ${action} ${by}`

/** Creates the folding, which passes events on to `record`. `now` is monotonic, in milliseconds. */
export function foldRefusals(
  record: (event: AuditEvent) => void,
  now: () => number = () => performance.now(),
): Folding {
  const tell = ({ count, most, last }: Tally) => {
    const folded = count - most
    if (folded > 0) record({ ...last, details: { ...last.details, folded } })
  }
  const refusals = new LRUCache<string, Tally>({
    max: mostKept,
    dispose: (tally, _key, reason) => {
      if (reason === 'evict') tell(tally)
    },
  })
  const entries = new LRUCache<string, number>({ max: mostKept })

  const isOver = (since: number) => now() - since >= windowMs

  return {
    refusal: (event, { by, most } = { by: '', most: refusalsPerWindow }) => {
      const key = keyOf(event, by)
      const known = refusals.get(key)
      const tally = known && !isOver(known.since) ? known : { since: now(), count: 0, most, last: event }
      if (known && known !== tally) tell(known)
      tally.count += 1
      tally.last = event
      refusals.set(key, tally)
      if (tally.count <= tally.most) record(event)
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
