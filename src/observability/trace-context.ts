import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Where a request stands in a trace (W3C Trace Context). */
export interface TraceContext {
  traceId: string
  /** Of the caller's span. */
  spanId: string
  /** Two hexadecimal digits. */
  flags: string
}

/** Version, trace, span, flags; later versions than 00 may have more to say behind another dash. */
const wellFormed = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * Returns the caller's trace context; undefined without a valid `traceparent`, in which case its `tracestate`
 * must be ignored too.
 */
export function callersTrace({ headers: { traceparent } }: IncomingMessage): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined
  const found = wellFormed.exec(traceparent)
  if (!found) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = found
  if (version === '00' && more !== undefined) return undefined
  return { traceId, spanId, flags }
}

/** New traces have the id of this process and a counter. */
const processPart = randomUUID().replaceAll('-', '')
const [tracePart, parentPart] = [`1${processPart.slice(1, 24)}`, `1${processPart.slice(25)}`]
let traces = 0

/**
 * Returns the `traceparent` for the forwarded request: the caller's, else one of a new trace. So an upstream can
 * always correlate its logs.
 */
export function traceparentFrom(caller: TraceContext | undefined): string {
  if (caller) return `00-${caller.traceId}-${caller.spanId}-${caller.flags}`
  traces = (traces + 1) % 0xffff_ffff
  const count = traces.toString(16).padStart(8, '0')
  return `00-${tracePart}${count}-${parentPart}${count}-00`
}
