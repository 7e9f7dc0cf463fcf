import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from '../config.js'
import { callersTrace } from './trace-context.js'
import type { AccessLine } from './access-line.js'
import type { Logger } from './logger.js'

/**
 * The span of a request and of its forwarding. It holds routes, statuses and ids, and nothing that a client
 * sent.
 */
export interface RequestSpan {
  /** Begins the span of a forwarded request. Returns its `traceparent`. */
  forward: (upstream: string, target: string) => string
  /** Call it when the upstream's response has ended or failed. Of several tries the last one counts. */
  forwarded: (outcome: 'answered' | 'failed' | 'cut') => void
  end: (line: AccessLine) => void
}

/** Spans for OpenTelemetry. */
export interface Tracing {
  begin: (req: IncomingMessage) => RequestSpan
  /** Sends waiting spans and stops. */
  stop: () => Promise<void>
}

/** A receiver that does not answer must not delay the end of the process. */
const longestStopMs = 3000

export type TracingConfig = Pick<
  Config,
  | 'OTEL_TRACES_EXPORTER'
  | 'OTEL_EXPORTER_OTLP_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_PROTOCOL'
  | 'OTEL_TRACES_SAMPLER'
  | 'OTEL_TRACES_SAMPLER_ARG'
  | 'OTEL_SDK_DISABLED'
>

/** Returns whether OpenTelemetry's own variables ask for an export of traces. */
export const tracesAreExported = ({
  OTEL_SDK_DISABLED,
  OTEL_TRACES_EXPORTER,
  OTEL_EXPORTER_OTLP_ENDPOINT,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
}: TracingConfig) =>
  !OTEL_SDK_DISABLED &&
  (OTEL_TRACES_EXPORTER ??
    ((OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? OTEL_EXPORTER_OTLP_ENDPOINT) ? 'otlp' : 'none')) === 'otlp'

async function openExporter({
  OTEL_EXPORTER_OTLP_ENDPOINT: base,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own,
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
}: TracingConfig) {
  const url = own ?? `${(base ?? 'http://localhost:4318').replace(/\/$/, '')}/v1/traces`
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter({ url })
}

async function openSampler({
  OTEL_TRACES_SAMPLER: name = 'parentbased_always_on',
  OTEL_TRACES_SAMPLER_ARG: share = 1,
}: TracingConfig) {
  const { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } =
    await import('@opentelemetry/sdk-trace')
  const root = name.endsWith('always_on')
    ? new AlwaysOnSampler()
    : name.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new TraceIdRatioBasedSampler(share)
  return name.startsWith('parentbased') ? new ParentBasedSampler({ root }) : root
}

/**
 * Starts to export spans. Returns undefined, and loads nothing, when no variable of OpenTelemetry asks for
 * it.
 */
export async function startTracing(config: TracingConfig, logger: Logger): Promise<Tracing | undefined> {
  if (!tracesAreExported(config)) return undefined
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, diag, DiagLogLevel, trace } =
    await import('@opentelemetry/api')
  const { BatchSpanProcessor, TracerProvider } = await import('@opentelemetry/sdk-trace')
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } =
    await import('@opentelemetry/resources')
  const tell = (level: 'warn' | 'debug') => (message: string) => {
    logger[level]('OpenTelemetry', { says: message })
  }
  diag.setLogger(
    {
      error: tell('warn'),
      warn: tell('warn'),
      info: tell('debug'),
      debug: tell('debug'),
      verbose: tell('debug'),
    },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'mandate-gateway' }))
    .merge(detectResources({ detectors: [envDetector] }))
  const provider = new TracerProvider({
    resource,
    sampler: await openSampler(config),
    spanProcessors: [new BatchSpanProcessor({ exporter: await openExporter(config) })],
  })
  const tracer = provider.getTracer('mandate-gateway')

  const parentOf = (req: IncomingMessage) => {
    const caller = callersTrace(req)
    return caller
      ? trace.setSpanContext(ROOT_CONTEXT, {
          traceId: caller.traceId,
          spanId: caller.spanId,
          traceFlags: Number.parseInt(caller.flags, 16) & 1,
          isRemote: true,
        })
      : ROOT_CONTEXT
  }
  const begin = (req: IncomingMessage): RequestSpan => {
    const parent = parentOf(req)
    const method = req.method ?? 'GET'
    const server = tracer.startSpan(
      method,
      { kind: SpanKind.SERVER, attributes: { 'http.request.method': method } },
      parent,
    )
    let onward: { span: typeof server; endedAt?: number; outcome?: string } | undefined
    return {
      forward: (upstream, target) => {
        const span = tracer.startSpan(
          `${method} ${upstream}`,
          {
            kind: SpanKind.CLIENT,
            attributes: {
              'http.request.method': method,
              'gateway.upstream': upstream,
              'server.address': target,
            },
          },
          trace.setSpan(parent, server),
        )
        onward = { span }
        const { traceId, spanId, traceFlags } = span.spanContext()
        return `00-${traceId}-${spanId}-0${traceFlags & 1}`
      },
      forwarded: (outcome) => {
        if (onward) Object.assign(onward, { endedAt: Date.now(), outcome })
      },
      end: ({ requestId, route, status, mandate, granted, reason, watched }) => {
        if (onward) {
          onward.span.setAttribute('gateway.outcome', onward.outcome ?? 'cut')
          if (onward.outcome === 'answered') onward.span.setAttribute('http.response.status_code', status)
          else if (onward.outcome === 'failed') onward.span.setStatus({ code: SpanStatusCode.ERROR })
          onward.span.end(onward.endedAt)
        }
        server.updateName(route === null ? method : `${method} ${route}`)
        server.setAttributes({
          'http.response.status_code': status,
          'gateway.request_id': requestId,
          'gateway.granted': granted,
        })
        if (route !== null) server.setAttribute('http.route', route)
        if (mandate !== undefined) server.setAttribute('gateway.mandate_id', mandate)
        if (watched !== undefined) server.setAttribute('gateway.watched', watched)
        if (reason !== undefined) server.setAttribute('error.type', reason)
        if (status >= 500) server.setStatus({ code: SpanStatusCode.ERROR })
        server.end()
      },
    }
  }
  const shutDown = () =>
    provider.shutdown().catch((error: unknown) => logger.warn('the last spans could not be sent', { error }))
  return {
    begin,
    stop: () =>
      Promise.race([shutDown(), wait(longestStopMs, undefined, { ref: false })]).then(() => undefined),
  }
}
