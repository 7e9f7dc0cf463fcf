/** Whether requests go to a target: `closed`, they do; `open`, none does for a while; `half-open`, one at a time does, to see how it fares. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/**
 * How a request ended. `failed`: the target did not answer as a living server does (no connection, no answer in time,
 * cut before the answer's head). `cut`: we or the client gave up, which says nothing about the target.
 */
export type Outcome = 'answered' | 'failed' | 'cut'

/** Keeps requests from a target that fails again and again, and finds out when it is back. */
export interface CircuitBreaker {
  isClosed: () => boolean
  state: () => CircuitState
  /** Whether a request may go as the probe now. */
  mayProbe: () => boolean
  /** How long it is until a probe may go, at most; 0 where one may or is under way, or the circuit is closed. */
  probeInMs: () => number
  /** The probe is sent. */
  beginProbe: () => void
  /** The probe has ended. */
  endProbe: (outcome: Outcome) => void
  /** A request that was sent while the circuit was closed has ended. */
  count: (outcome: Outcome) => void
  /** The target is known to be back. */
  close: () => void
}

interface Options {
  /** Milliseconds on a monotonic clock. Asked only while the circuit is not closed. */
  now: () => number
  /** How long a probe can take to fail. One that runs longer is an answer that is long, such as a stream, and the next may go. */
  probeMs: number
  /** Called once for each change. */
  onChange: (state: CircuitState) => void
}

/** Failures in a row that open a circuit. */
export const failuresInARow = 10
const firstOpenMs = 1000
const longestOpenMs = 30_000
/** The part of each wait that is left to chance, so that many nodes do not come back in one moment. */
const jitter = 0.1

/** A circuit, closed at first. */
export function createCircuitBreaker({ now, probeMs, onChange }: Options): CircuitBreaker {
  let state: CircuitState = 'closed'
  let failures = 0
  let openMs = firstOpenMs
  /** When the next probe may go. */
  let probeAt = 0

  const change = (next: CircuitState) => {
    state = next
    onChange(next)
  }
  const open = () => {
    probeAt = now() + openMs * (1 - Math.random() * jitter)
    change('open')
  }
  const close = () => {
    failures = 0
    openMs = firstOpenMs
    if (state !== 'closed') change('closed')
  }
  const count = (outcome: Outcome) => {
    // What was sent before the circuit opened, and ends late, tells of the time before.
    if (state !== 'closed' || outcome === 'cut') return
    failures = outcome === 'failed' ? failures + 1 : 0
    if (failures >= failuresInARow) open()
  }

  return {
    isClosed: () => state === 'closed',
    state: () => state === 'open' && now() >= probeAt ? 'half-open' : state,
    mayProbe: () => {
      if (state === 'closed' || now() < probeAt) return false
      if (state === 'open') change('half-open')
      return true
    },
    probeInMs: () => state === 'open' ? Math.max(0, probeAt - now()) : 0,
    beginProbe: () => {
      if (state === 'half-open') probeAt = now() + probeMs
    },
    endProbe: (outcome) => {
      if (state !== 'half-open') count(outcome)
      else if (outcome === 'answered') close()
      else if (outcome === 'cut') probeAt = 0
      else {
        openMs = Math.min(openMs * 2, longestOpenMs)
        open()
      }
    },
    count,
    close,
  }
}
