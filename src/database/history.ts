import { GatewayError } from '../errors.js'

/**
 * The current history of the database: `system/timeline/boot`. A promoted standby begins another timeline; a
 * server that crashed begins another boot. Two servers of one system can both be reachable for a while: see
 * docs/coherence.md, "Two primaries".
 */
export interface History {
  /**
   * Records that a server answered with this identity. A new identity becomes the current one, and the
   * listeners run in the same run. Throws `directory_unavailable` for a standby, and for a timeline that is
   * older than the current one.
   */
  see: (identity: string) => void
  /** Adds a listener. Listeners close connections of other identities, or drop what was read from them. */
  onChange: (listener: (identity: string) => void) => void
}

/** For this long after its successor was last heard of, a succeeded primary is not believed. */
const succeededMs = 10_000

/** Returns system and timeline, without the boot: a crash loses no node's row; a failover may. */
export const timelineOf = (identity: string) => identity.replace(/\/[^/]*$/, '')

const partsOf = (identity: string) => {
  const [system = '', timeline = '', boot = ''] = identity.split('/')
  return { system, timeline, boot }
}

/**
 * Returns whether it is an earlier timeline of the same system: that of a primary which a standby has
 * succeeded.
 */
function isOlder(identity: string, than: string): boolean {
  const [one, other] = [partsOf(identity), partsOf(than)]
  return (
    one.system === other.system && Number.parseInt(one.timeline, 16) < Number.parseInt(other.timeline, 16)
  )
}

/** Creates the record of the histories that one process has seen. */
export function createHistory({ monotonic }: { monotonic: () => number }): History {
  const listeners: ((identity: string) => void)[] = []
  let current: string | undefined
  let lastSeen = Number.NEGATIVE_INFINITY
  return {
    see: (identity) => {
      if (partsOf(identity).timeline === 'standby') throw unbelieved('the server is a standby')
      const now = monotonic()
      if (identity === current) {
        lastSeen = now
        return
      }
      // An older timeline counts again when the newer one is gone: an operator may have restored an earlier
      // backup.
      if (current !== undefined && isOlder(identity, current) && now - lastSeen < succeededMs) {
        for (const listener of listeners) listener(current)
        throw unbelieved(
          `the server is of the timeline ${timelineOf(identity)}, and ${timelineOf(current)} has succeeded it`,
        )
      }
      current = identity
      lastSeen = now
      for (const listener of listeners) listener(identity)
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

/** Returns the refusal of a read that may be out of date. */
export const unbelieved = (reason: string, cause?: unknown) =>
  new GatewayError(
    'directory_unavailable',
    'It is not certain that the directory’s answer is up to date. Try again shortly.',
    { cause: cause ?? new Error(reason) },
  )
