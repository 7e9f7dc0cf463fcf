import { GatewayError } from '../errors.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** The requests and streams of one caller at an upstream. */
export interface Share {
  readonly key: string
  requests: number
  streams: number
}

/** Limits each caller to a share of an upstream. Only callers with open requests are kept. */
export interface Callers {
  /** Counts one more request of a caller. Throws `rate_limited` when there are too many. */
  enter: (key: string) => Share
  /** Returns whether one more of the caller's requests may become a stream. */
  mayStream: (share: Share) => boolean
  /** Counts one of the caller's requests as a stream from now on. */
  stream: (share: Share) => void
  /** Call it when a request, or a stream, of the caller has ended. */
  leave: (share: Share, isStream: boolean) => void
}

/** Returns the limits of each caller of an upstream. */
export function createCallers({ requestsPerCaller, streamsPerCaller }: UpstreamSettings['limits']): Callers {
  const shares = new Map<string, Share>()
  return {
    enter: (key) => {
      let share = shares.get(key)
      if (!share) {
        share = { key, requests: 0, streams: 0 }
        shares.set(key, share)
      } else if (share.requests >= requestsPerCaller) {
        throw new GatewayError(
          'rate_limited',
          `Only ${requestsPerCaller} requests of one caller may wait for this service at a time. ` +
            'Try again when one has ended.',
          { headers: { 'Retry-After': '1' } },
        )
      }
      share.requests += 1
      return share
    },
    mayStream: (share) => share.streams < streamsPerCaller,
    stream: (share) => {
      share.requests -= 1
      share.streams += 1
    },
    leave: (share, isStream) => {
      if (isStream) share.streams -= 1
      else share.requests -= 1
      if (share.requests + share.streams === 0) shares.delete(share.key)
    },
  }
}
