import { access, constants, mkdir } from 'node:fs/promises'
import net from 'node:net'
import tls from 'node:tls'
import { dayMs } from '../../domain/time.js'
import type { Config } from '../../config.js'
import { reachesRedis } from '../../http/limits/redis-counters.js'
import { lookupOf, placeOf, tlsOptions } from '../../proxy/connect.js'
import { openRoutes } from '../../proxy/open-routes.js'
import { RouteTableError, loadRouteTable, type RouteTable } from '../../proxy/route-table.js'
import type { UpstreamSettings } from '../../proxy/upstream-schema.js'
import { fault, ok, warning, wordsOf, type Finding } from '../../domain/finding.js'

const connectTimeoutMs = 3000
const soonDays = 14

/** The route file, and the table if it has one. */
export async function examineRoutes(file: string): Promise<{ findings: Finding[]; table?: RouteTable }> {
  try {
    const table = await loadRouteTable(file)
    const open = openRoutes(table).map((one) => warning('routes', one, 'docs/moving-in.md says when.'))
    return { findings: [ok('routes', `${file}: ${table.routes.length} routes`), ...open], table }
  } catch (error) {
    const faults = error instanceof RouteTableError ? error.faults : [wordsOf(error)]
    return {
      findings: faults.map((one) =>
        fault('routes', one, 'Mend the line; mandate-gateway routes check says when it is right.'),
      ),
    }
  }
}

/** Settles when the socket is connected, rejects when it is not in time. */
function connected(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    socket.setTimeout(connectTimeoutMs, () =>
      socket.destroy(new Error(`no answer within ${connectTimeoutMs / 1000} s`)),
    )
    socket.once(event, () => resolve())
    socket.once('error', reject)
  }).finally(() => socket.destroy())
}

async function examineTarget(upstream: string, target: string, settings: UpstreamSettings): Promise<Finding> {
  const check = `upstream ${upstream}`
  const place = placeOf(target)
  const url = new URL(place.origin)
  const isTls = url.protocol === 'https:'
  const at =
    place.socketPath === undefined
      ? { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || (isTls ? 443 : 80)) }
      : { path: place.socketPath }
  try {
    await connected(net.connect({ ...at, ...lookupOf(settings) }), 'connect')
  } catch (error) {
    return fault(
      check,
      `${target} cannot be reached: ${wordsOf(error)}`,
      'Start the service, or mend its address in the route file.',
    )
  }
  if (!isTls) return ok(check, `${target} can be reached`)
  const socket = tls.connect({ ...at, ...lookupOf(settings), ...tlsOptions(place, settings) })
  let expiresAt = Number.NaN
  socket.once('secureConnect', () => {
    expiresAt = Date.parse(socket.getPeerCertificate().valid_to)
  })
  try {
    await connected(socket, 'secureConnect')
  } catch (error) {
    return fault(
      `certificate of ${upstream}`,
      `${target}: ${wordsOf(error)}`,
      'Give the service a certificate for its name by an authority that this machine trusts, or name the authority in tls.ca and the name in tls.serverName.',
    )
  }
  const days = Math.floor((expiresAt - Date.now()) / dayMs)
  return days < soonDays
    ? warning(`certificate of ${upstream}`, `${target}: it ends in ${days} days`, 'Renew it.')
    : ok(`certificate of ${upstream}`, `${target}: good for ${days} days`)
}

/** Whether each target of each upstream can be reached, and trusted where it is https. */
export async function examineUpstreams({ upstreams }: RouteTable): Promise<Finding[]> {
  return await Promise.all(
    Object.entries(upstreams).flatMap(([name, settings]) =>
      settings.targets
        .filter((target) => target !== 'demo')
        .map((target) => examineTarget(name, target, settings)),
    ),
  )
}

/** Whether Redis answers, where one is configured. */
export async function examineRedis({ REDIS_URL }: Config): Promise<Finding[]> {
  if (REDIS_URL === undefined) return []
  try {
    await reachesRedis(REDIS_URL, connectTimeoutMs)
    return [ok('redis', 'it answers')]
  } catch (error) {
    return [
      fault(
        'redis',
        `${new URL(REDIS_URL).host} does not answer: ${wordsOf(error)}; until it does, each node counts rate limits by itself`,
        'Start Redis, or mend REDIS_URL.',
      ),
    ]
  }
}

/** What browsers and proxies in front are told. */
export function examineAddress({ PUBLIC_URL, TRUST_PROXY, production, COOKIE_SECURE }: Config): Finding[] {
  const check = 'public address'
  if (PUBLIC_URL === undefined)
    return production
      ? [
          fault(
            check,
            'PUBLIC_URL is not set: links and the check of Origin would use the address that is listened on',
            'Set PUBLIC_URL to the address that browsers see.',
          ),
        ]
      : [ok(check, 'the one that is listened on')]
  const isTls = new URL(PUBLIC_URL).protocol === 'https:'
  const findings: Finding[] = []
  if (!isTls && COOKIE_SECURE)
    findings.push(
      fault(
        check,
        `${PUBLIC_URL} is not https, and browsers do not send Secure cookies there`,
        'Put TLS in front and set PUBLIC_URL to its address.',
      ),
    )
  if (isTls && TRUST_PROXY === 0)
    findings.push(
      warning(
        check,
        `${PUBLIC_URL} is https, so that a proxy stands in front, and TRUST_PROXY is 0: all clients count as one`,
        'Set TRUST_PROXY to the number of proxies in front.',
      ),
    )
  return findings.length > 0 ? findings : [ok(check, PUBLIC_URL)]
}

/** Whether what is to be kept can be. */
export async function examineDataDir({ DATA_DIR }: Config): Promise<Finding> {
  try {
    await mkdir(DATA_DIR, { recursive: true, mode: 0o700 })
    await access(DATA_DIR, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok('data directory', DATA_DIR)
  } catch (error) {
    return fault(
      'data directory',
      `${DATA_DIR} cannot be written: ${wordsOf(error)}`,
      "Set DATA_DIR to a directory of the gateway's own.",
    )
  }
}
