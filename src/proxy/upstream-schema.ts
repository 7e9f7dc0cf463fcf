import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { z } from 'zod'
import { hourMs } from '../domain/time.js'
import { requestHeaderRules, responseHeaderRules } from './header-rules.js'

/** A time in the route table. */
export const milliseconds = z.int().min(1).max(hourMs)

/** A limit of how many there may be at a time. */
const atATime = z
  .int('must be a whole number of 1 or more')
  .min(1, 'must be a whole number of 1 or more')
  .max(65_535)

const isUnixSocket = (value: string) => /^unix:\/[!-~]*[^/]$/.test(value)

const isTarget = (value: string) => {
  if (value === 'demo' || isUnixSocket(value)) return true
  if (!URL.canParse(value)) return false
  const { protocol, pathname, search, hash, username } = new URL(value)
  return (protocol === 'http:' || protocol === 'https:') && pathname === '/' && !search && !hash && !username
}

/** The address of one process of a service. */
export const upstreamTarget = z
  .string()
  .refine(
    isTarget,
    'must be an address such as http://127.0.0.1:9000, without path, query or credentials, or a ' +
      'socket such as unix:/run/crm.sock (or demo, the demo upstream)',
  )

const checksInARow = z.int().min(1).max(100)

/** A path alone stands for checks with default settings. */
const health = z.preprocess(
  (value) => (typeof value === 'string' ? { path: value } : value),
  z.strictObject({
    path: z.string().regex(/^\/[!-"$-~]*$/, 'must be a path such as /healthz'),
    intervalMs: milliseconds.default(5000),
    timeoutMs: milliseconds.default(2000),
    unhealthyAfter: checksInARow.default(2),
    healthyAfter: checksInARow.default(1),
  }),
)

/** A number alone uses the default window; 0 turns it off. */
const leastBodyRate = z.preprocess(
  (value) => (typeof value === 'number' ? { bytesPerSecond: value } : value),
  z.strictObject({
    bytesPerSecond: z.int().min(0).max(1_000_000_000).default(240),
    windowMs: milliseconds.default(10_000),
  }),
)

/**
 * The contents of a file that the route table names. The file is read with the table, so that a fault names
 * its line.
 */
const pemFile = z
  .string()
  .min(1)
  .transform((file, context) => {
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      context.addIssue({
        code: 'custom',
        message: `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      })
      return z.NEVER
    }
  })

const tls = z
  .strictObject({
    /** The authorities for the targets' certificates, in place of those that this machine trusts. */
    ca: pemFile.optional(),
    /** The name in the certificate, if it is not the target's. */
    serverName: z
      .string()
      .regex(/^[A-Za-z0-9.-]+$/, 'must be a host name')
      .optional(),
    /** The certificate and key that the gateway presents. */
    cert: pemFile.optional(),
    key: pemFile.optional(),
  })
  .superRefine(({ ca, cert, key }, context) => {
    if ((cert === undefined) !== (key === undefined))
      context.addIssue({ code: 'custom', message: 'cert and key belong together: set both or neither' })
    try {
      createSecureContext({ ca, cert, key })
    } catch (error) {
      context.addIssue({
        code: 'custom',
        message: `ca, cert or key cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      })
    }
  })

const addressOfServer = z.string().refine((value) => {
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(value)
  return isIP(value) !== 0 || isIP(parts?.[1] ?? parts?.[2] ?? '') !== 0
}, 'must be the address of a DNS server, such as 10.0.0.2 or 127.0.0.1:5353')

/** The targets and connections of a service, as the route table names them. */
export const upstreamSchema = z.strictObject({
  targets: z.array(upstreamTarget).min(1, 'must name at least one target'),
  timeouts: z
    .strictObject({
      connectMs: milliseconds.default(2000),
      headersMs: milliseconds.default(30_000),
      /** Longest silence within a response's body. */
      bodyMs: milliseconds.default(60_000),
      /** Longest silence of a WebSocket. */
      idleMs: milliseconds.default(300_000),
      /** How long an unused connection is kept. */
      keepAliveMs: milliseconds.default(4000),
      /** How long a connection is given new requests. */
      connectionMs: milliseconds.default(60_000),
    })
    .prefault({}),
  /** Limits for one process of the gateway. */
  limits: z
    .strictObject({
      /** Requests to one target that wait for their response. */
      requests: atATime.default(512),
      /** Long responses of one target: events, downloads, WebSockets. */
      streams: atATime.default(4096),
      /** Connections to one target, of all kinds. */
      connections: atATime.optional(),
      requestsPerCaller: atATime.default(128),
      streamsPerCaller: atATime.default(256),
      leastBodyRate: leastBodyRate.prefault({}),
    })
    .prefault({}),
  /** When a target counts as out of order. */
  circuit: z
    .strictObject({
      /** At least this many failures … */
      failures: z.int().min(1).max(100_000).default(10),
      /** … which are this share of the requests that ended … */
      share: z.number().gt(0).max(1).default(0.5),
      /** … within this time, open the circuit. */
      windowMs: milliseconds.default(10_000),
      /** How long it stays open, at first and at most. */
      openMs: milliseconds.default(1000),
      longestOpenMs: milliseconds.default(30_000),
    })
    .prefault({}),
  /** How the names of targets are resolved. */
  resolve: z
    .strictObject({
      intervalMs: milliseconds.default(5000),
      /** A DNS server in place of the machine's own resolver. */
      server: addressOfServer.optional(),
    })
    .prefault({}),
  tls: tls.optional(),
  health: health.optional(),
  requestHeaders: requestHeaderRules.optional(),
  responseHeaders: responseHeaderRules.optional(),
})

/** An upstream of the route table. */
export type UpstreamSettings = z.infer<typeof upstreamSchema>
