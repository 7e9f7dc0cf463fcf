import type { Logger } from '../observability/logger.js'
import { watchAddresses, type Watch } from './addresses.js'
import { nameOf, placeOf, type Place } from './connect.js'
import { openTarget, type OwnTarget } from './target.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** The targets of one upstream. They change with the addresses of a name in the route table. */
export interface Targets {
  /** The targets in use. Each change replaces the array. */
  current: readonly OwnTarget[]
  readonly settings: UpstreamSettings
  /** Stops checks and look-ups, waits for open requests, then closes the connections. */
  retire: () => Promise<void>
  /** Cuts open requests and closes the connections. */
  close: () => Promise<void>
}

interface Options {
  /** The name of the upstream, for logs. */
  upstream: string
  settings: UpstreamSettings
  /** The address of the demo upstream, if it runs. */
  demoUrl: string | undefined
  logger: Logger
  /** Milliseconds on a monotonic clock. */
  now: () => number
}

/** How long a target that is out of use may be sent requests that were given it. */
const retireAfterMs = 30_000

/**
 * Opens the targets of an upstream. A name becomes one target for each of its addresses, once they are known.
 */
export function openTargets({ upstream, settings, demoUrl, logger, now }: Options): Targets {
  const places = settings.targets
    .map((target) => (target === 'demo' ? demoUrl : target))
    .filter((target) => target !== undefined)
    .map(placeOf)
  const open = (place: Place) => {
    const target = openTarget({ upstream, place, settings, logger, now })
    opened.add(target)
    return target
  }
  const opened = new Set<OwnTarget>()
  /** For each entry of the route table, its current targets: one, or one for each address. */
  const entries = places.map((place) => new Map([['', open(place)]]))
  const targets = { current: entries.flatMap((entry) => [...entry.values()]), settings }

  const replace = (index: number, addresses: string[]) => {
    const before = entries[index] ?? new Map<string, OwnTarget>()
    const place = places[index]
    if (!place) return
    entries[index] = new Map(
      addresses.map((address) => [address, before.get(address) ?? open({ ...place, address })]),
    )
    targets.current = entries.flatMap((entry) => [...entry.values()])
    for (const target of before.values()) if (!targets.current.includes(target)) retire(target)
  }
  const retire = (target: OwnTarget) => {
    target.stopChecks()
    setTimeout(() => {
      void target.pool.close().then(() => opened.delete(target))
    }, retireAfterMs).unref()
  }
  const watches = places.map((place, index): Watch | undefined => {
    const name = nameOf(place)
    return name === undefined
      ? undefined
      : watchAddresses({
          upstream,
          name,
          settings: settings.resolve,
          logger,
          onChange: (addresses) => replace(index, addresses),
        })
  })
  const stop = () => {
    for (const watch of watches) watch?.stop()
    for (const { stopChecks } of opened) stopChecks()
  }

  return Object.assign(targets, {
    retire: async () => {
      stop()
      await Promise.all([...opened].map(({ pool }) => pool.close()))
    },
    close: async () => {
      stop()
      await Promise.all([...opened].map(({ pool }) => pool.destroy()))
    },
  })
}
