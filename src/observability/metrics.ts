import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { errorTable, statusOf, type ErrorCode } from '../errors.js'
import { countRequests, latencyBounds, type RequestCounts } from './request-counts.js'

/** Sources of numbers that are read at a scrape only. */
export interface Sources {
  memory: () => { entries: number; hits: number; misses: number }
  lease: { remainingMs: () => number; unacked: () => number }
  streams: { count: () => number }
  audit: { counts: () => { waiting: number; dropped: number } }
  usage: { counts: () => { waiting: number; dropped: number } }
  messages: () => { sent: number; retried: number; failed: number; pending: number }
  load: { counts: () => { connections: number; refused: number } }
  pool: () => { used: number; free: number; pending: number }
  upstreams: () => {
    name: string
    targets: {
      address: string
      state: 'closed' | 'open' | 'half-open'
      healthy: boolean
      running: number
      streams: number
    }[]
  }[]
}

/** The media type of Prometheus's text format. */
export const metricsType = 'text/plain; version=0.0.4'

/** Returns all metrics, in Prometheus's text format. */
export type Scrape = () => Promise<string>

/** The metrics of a process. */
export interface Metrics {
  registry: Registry
  requests: RequestCounts
  /** Records how long a change waited for the nodes, and how many of them were fenced. */
  noteWait: (wait: { waitedMs: number; fenced: number }) => void
  /** Begins to read the sources. */
  watch: (sources: Sources) => void
}

type Gathered = Awaited<ReturnType<Histogram['get']>>

/** Latencies, from the counts of requests. The library's own way costs more than a whole decision. */
class LatencyHistogram extends Histogram {
  private readonly empty: Histogram

  constructor(
    private readonly requests: RequestCounts,
    registry: Registry,
  ) {
    const description = {
      name: 'gateway_request_duration_seconds',
      help: 'From the head of a request to the end of its answer; without WebSockets',
      labelNames: ['route'],
      buckets: latencyBounds,
    }
    super({ ...description, registers: [registry] })
    this.empty = new Histogram({ ...description, registers: [] })
  }

  override async get(): Promise<Gathered> {
    const { name, ...description } = await this.empty.get()
    const values: Gathered['values'] = []
    for (const [route, { buckets, sumMs }] of this.requests.byRoute) {
      let total = 0
      latencyBounds.forEach((le, index) => {
        total += buckets[index] ?? 0
        values.push({ metricName: `${name}_bucket`, labels: { le, route }, value: total })
      })
      total += buckets[latencyBounds.length] ?? 0
      values.push({ metricName: `${name}_bucket`, labels: { le: '+Inf', route }, value: total })
      values.push(
        { metricName: `${name}_sum`, labels: { route }, value: sumMs / 1000 },
        { metricName: `${name}_count`, labels: { route }, value: total },
      )
    }
    return { ...description, name, values }
  }

  /** The library calls this name when it writes text. */
  getForPromString(): Promise<Gathered> {
    return this.get()
  }
}

function decisionOf(reason: string): 'granted' | 'denied' | 'failed' {
  if (reason === '') return 'granted'
  return reason in errorTable && statusOf(reason as ErrorCode) >= 500 ? 'failed' : 'denied'
}

function describeRequests(registry: Registry, requests: RequestCounts): void {
  new Counter({
    name: 'gateway_requests_total',
    help: 'Requests by route, method, status and how they came into a mandate',
    labelNames: ['route', 'method', 'status', 'tier'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [route, counts] of requests.byRoute)
        for (const { count, ...labels } of counts.byOutcome()) this.inc({ route, ...labels }, count)
    },
  })
  new LatencyHistogram(requests, registry)
  new Counter({
    name: 'gateway_decisions_total',
    help: 'Decisions by reason: the code of the refusal, none where the request was granted',
    labelNames: ['decision', 'reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [reason, count] of requests.byReason)
        this.inc({ decision: decisionOf(reason), reason: reason || 'none' }, count)
    },
  })
  new Counter({
    name: 'gateway_watched_decisions_total',
    help: 'What routes that only watch would have decided: granted, undecided, or the code of the refusal',
    labelNames: ['route', 'decision'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [route, { watched }] of requests.byRoute)
        for (const [decision, count] of watched) this.inc({ route, decision }, count)
    },
  })
}

function describeNode(registry: Registry, { memory, lease, streams, load }: Sources): void {
  gauge(registry, 'gateway_client_connections', 'Connections of clients', () => load.counts().connections)
  counter(
    registry,
    'gateway_overload_refusals_total',
    'Requests that were refused, as there were too many connections or too little memory',
    () => load.counts().refused,
  )
  counter(
    registry,
    'gateway_memory_hits_total',
    'Questions to the directory that memory answered',
    () => memory().hits,
  )
  counter(
    registry,
    'gateway_memory_misses_total',
    'Questions to the directory that the database was asked',
    () => memory().misses,
  )
  gauge(
    registry,
    'gateway_memory_entries',
    'What the node remembers of the directory',
    () => memory().entries,
  )
  gauge(
    registry,
    'gateway_lease_remaining_seconds',
    'How long the node may answer from memory without hearing from the database',
    () => lease.remainingMs() / 1000,
    'min',
  )
  gauge(
    registry,
    'gateway_epoch_lag_changes',
    'Changes that the node has heard of and not acknowledged yet',
    () => lease.unacked(),
    'max',
  )
  gauge(registry, 'gateway_open_streams', 'Bodies, streaming answers and WebSockets under way', () =>
    streams.count(),
  )
}

function describeStores(registry: Registry, { audit, usage, pool }: Sources): void {
  gauge(
    registry,
    'gateway_audit_waiting',
    'Audit events that are not in the database yet',
    () => audit.counts().waiting,
  )
  counter(
    registry,
    'gateway_audit_dropped_total',
    'Audit events that were lost, as the database did not take them in time',
    () => audit.counts().dropped,
  )
  gauge(
    registry,
    'gateway_usage_waiting',
    'Mandates whose usage is not in the database yet',
    () => usage.counts().waiting,
  )
  counter(
    registry,
    'gateway_usage_dropped_total',
    'Requests whose usage was lost, as the database did not take it in time',
    () => usage.counts().dropped,
  )
  new Gauge({
    name: 'gateway_pool_connections',
    help: 'Connections to the database: used, free, and asked for',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(pool())) this.set({ state }, count)
    },
  })
}

function describeMessages(registry: Registry, { messages }: Sources): void {
  new Counter({
    name: 'gateway_messages_total',
    help: 'Attempts of this node to send a message: sent, retried, or failed for good',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset()
      const { sent, retried, failed } = messages()
      for (const [outcome, count] of Object.entries({ sent, retried, failed })) this.inc({ outcome }, count)
    },
  })
  gauge(
    registry,
    'gateway_messages_pending',
    'Messages that wait to be sent, of all nodes',
    () => messages().pending,
    'max',
  )
}

function describeUpstreams(registry: Registry, { upstreams }: Sources): void {
  const labelNames = ['upstream', 'target']
  const each = (
    name: string,
    help: string,
    read: (target: ReturnType<Sources['upstreams']>[number]['targets'][number]) => number,
    aggregator: 'sum' | 'min' | 'max',
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      aggregator,
      registers: [registry],
      collect() {
        this.reset() // targets go with the route file that named them
        for (const { name: upstream, targets } of upstreams())
          for (const target of targets) this.set({ upstream, target: target.address }, read(target))
      },
    })
  each(
    'gateway_upstream_healthy',
    'Whether a target answers its health checks (1 where there are none)',
    ({ healthy }) => (healthy ? 1 : 0),
    'min',
  )
  each(
    'gateway_upstream_circuit_open',
    'Whether a target is sent no requests as it failed: 1 open, 0.5 being tried, 0 closed',
    ({ state }) => ({ closed: 0, 'half-open': 0.5, open: 1 })[state],
    'max',
  )
  each(
    'gateway_upstream_running',
    'Requests that wait for the answer of a target',
    ({ running }) => running,
    'sum',
  )
  each(
    'gateway_upstream_streams',
    'Answers of a target that go on, WebSockets included',
    ({ streams }) => streams,
    'sum',
  )
}

function counter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
  aggregator: 'sum' | 'min' | 'max' = 'sum',
): void {
  new Gauge({
    name,
    help,
    aggregator,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}

/** Creates the metrics. `collectDefaultMetrics` adds those of Node, with its event loop. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const requests = countRequests()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 })
  describeRequests(registry, requests)
  const waits = new Histogram({
    name: 'gateway_coherence_wait_seconds',
    help: 'How long changes waited until no node acted on the old state',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10],
    registers: [registry],
  })
  const fenced = new Counter({
    name: 'gateway_coherence_fenced_total',
    help: 'Nodes that were fenced, as they did not acknowledge a change within their lease',
    registers: [registry],
  })
  return {
    registry,
    requests,
    noteWait: (wait) => {
      waits.observe(wait.waitedMs / 1000)
      if (wait.fenced > 0) fenced.inc(wait.fenced)
    },
    watch: (sources) => {
      for (const describe of [describeNode, describeStores, describeMessages, describeUpstreams])
        describe(registry, sources)
    },
  }
}
