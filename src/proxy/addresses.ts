import { Resolver, lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { Logger } from '../observability/logger.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** A name that is looked up again and again. */
export interface Watch {
  stop: () => void
}

interface Options {
  /** The upstream that it belongs to, for logs. */
  upstream: string
  name: string
  settings: UpstreamSettings['resolve']
  logger: Logger
  /** Called with all addresses of the name, sorted, when they have changed; never with none. */
  onChange: (addresses: string[]) => void
}

/**
 * The machine's resolver puts the reachable family first (RFC 6724). Addresses of the other family are left
 * out, since one service would count twice.
 */
async function lookUp(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, verbatim: true })
  return found.filter(({ family }) => family === found[0]?.family).map(({ address }) => address)
}

/** Asks one DNS server: for IPv4 addresses, and where there are none for those of IPv6. */
async function askServer(resolver: Resolver, name: string): Promise<string[]> {
  try {
    return await resolver.resolve4(name)
  } catch (error) {
    return await resolver.resolve6(name).catch(() => {
      throw error
    })
  }
}

/** Returns the resolver of an upstream's DNS server, if it has one. */
export function resolverOf({ server }: UpstreamSettings['resolve']): Resolver | undefined {
  if (server === undefined) return undefined
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  resolver.setServers([isIP(server) === 6 ? `[${server}]` : server])
  return resolver
}

/** Returns a look-up for connections that asks `resolver`, in the form that `net.connect` takes. */
export function lookupBy(resolver: Resolver): LookupFunction {
  return (name, { all }, done) => {
    askServer(resolver, name).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }))
        if (all === true) done(null, found)
        else done(null, found[0]?.address ?? '', found[0]?.family ?? 0)
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), []),
    )
  }
}

/** Starts to resolve a name again and again. While that fails, the last addresses stay. */
export function watchAddresses({ upstream, name, settings, logger, onChange }: Options): Watch {
  const resolver = resolverOf(settings)
  let [known, isFailing, isStopped] = ['', false, false]
  let timer: NodeJS.Timeout | undefined

  const look = async () => {
    try {
      const addresses = [...new Set(await (resolver ? askServer(resolver, name) : lookUp(name)))].sort()
      if (isStopped || addresses.length === 0) return
      isFailing = false
      if (addresses.join() === known) return
      if (known !== '') logger.info('the name of a target has other addresses', { upstream, name, addresses })
      known = addresses.join()
      onChange(addresses)
    } catch (error) {
      if (!isFailing && !isStopped)
        logger.warn('the name of a target cannot be looked up', {
          upstream,
          name,
          reason: error instanceof Error ? error.message : String(error),
        })
      isFailing = true
    }
  }
  const again = () => {
    void look().then(() => {
      if (!isStopped) timer = setTimeout(again, settings.intervalMs).unref()
    })
  }
  again()
  return {
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      resolver?.cancel()
    },
  }
}
