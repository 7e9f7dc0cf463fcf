import type { UpstreamSettings } from './upstream-schema.js'

/**
 * The state of a target's circuit. `closed`: requests are sent. `open`: none are sent for a while, if there
 * is another target. `half-open`: one request at a time probes the target.
 */
export type CircuitState = 'closed' | 'open' | 'half-open'

/**
 * How a request ended. `failed`: no connection, or it was cut before the response's head. `late`: the
 * response did not begin in time. `cut`: the gateway or the client gave up, which says nothing about the
 * target.
 */
export type Outcome = 'answered' | 'failed' | 'late' | 'cut'

/** Keeps requests from a target that fails too often, and finds out when it is back. */
export interface CircuitBreaker {
  isClosed: () => boolean
  state: () => CircuitState
  /** Returns whether a request may be the probe now. */
  mayProbe: () => boolean
  /** The probe is sent. */
  beginProbe: () => void
  /** The probe has ended: well, badly, or in a way that says nothing. */
  endProbe: (isWell: boolean | undefined) => void
  /** A request that was sent while the circuit was closed has ended, well or badly. */
  count: (isWell: boolean) => void
  /** The target is known to be back. */
  close: () => void
}

interface Options {
  settings: UpstreamSettings['circuit']
  /**
   * Returns milliseconds on a monotonic clock. It is called after a failure and while the circuit is not
   * closed.
   */
  now: () => number
  /**
   * How long a probe can take to fail. A longer one is a long response, such as a stream, and the next probe
   * may be sent.
   */
  probeMs: number
  /** Called once for each change. */
  onChange: (state: CircuitState) => void
}

/** The random share of each wait, so that many nodes do not return at the same moment. */
const jitter = 0.1

/** Creates a circuit, closed at first. */
export function createCircuitBreaker({
  settings: { failures: least, share, windowMs, openMs: firstOpenMs, longestOpenMs },
  now,
  probeMs,
  onChange,
}: Options): CircuitBreaker {
  let state: CircuitState = 'closed'
  /** Requests that ended since the first failure of the window. */
  let [failures, answers, windowEndsAt] = [0, 0, 0]
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
  const countFailure = () => {
    const at = now()
    if (failures === 0 || at >= windowEndsAt) [failures, answers, windowEndsAt] = [0, 0, at + windowMs]
    failures += 1
    if (failures >= least && failures >= share * (failures + answers)) open()
  }

  const count = (isWell: boolean) => {
    // A request that was sent before the circuit opened tells about the time before.
    if (state !== 'closed') return
    if (isWell) answers += 1
    else countFailure()
  }

  return {
    isClosed: () => state === 'closed',
    state: () => (state === 'open' && now() >= probeAt ? 'half-open' : state),
    mayProbe: () => {
      if (state === 'closed' || now() < probeAt) return false
      if (state === 'open') change('half-open')
      return true
    },
    beginProbe: () => {
      if (state === 'half-open') probeAt = now() + probeMs
    },
    endProbe: (isWell) => {
      if (state !== 'half-open') {
        if (isWell !== undefined) count(isWell)
      } else if (isWell === undefined) probeAt = 0
      else if (isWell) close()
      else {
        openMs = Math.min(openMs * 2, longestOpenMs)
        open()
      }
    },
    count,
    close,
  }
}
