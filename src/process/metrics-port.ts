import type { Config } from '../config.js'
import type { Logger } from '../observability/logger.js'
import type { Scrape } from '../observability/metrics.js'
import { serveMetrics } from '../observability/metrics-server.js'
import type { Lifecycle } from '../gateway/lifecycle.js'

/** Serves the metrics on METRICS_PORT, if it is set. */
export async function openMetrics(
  { HOST, METRICS_PORT }: Config,
  scrape: Scrape,
  logger: Logger,
  lifecycle: Lifecycle,
): Promise<void> {
  if (METRICS_PORT === undefined) return
  const { port } = await lifecycle.start(
    'metrics port',
    () => serveMetrics(scrape, { host: HOST, port: METRICS_PORT }),
    ({ stop }) => stop(),
  )
  logger.info('metrics are served', { port })
}
