import type { Config } from '../config.js'
import type { Logger } from '../observability/logger.js'
import type { Scrape } from '../observability/metrics.js'
import { serveMetrics } from '../observability/metrics-server.js'
import type { Stop } from '../gateway/lifecycle.js'

/** Serves the metrics on METRICS_PORT, where that is set. What it starts goes onto `stops`. */
export async function openMetrics(
  { HOST, METRICS_PORT }: Config,
  scrape: Scrape,
  logger: Logger,
  stops: Stop[],
): Promise<void> {
  if (METRICS_PORT === undefined) return
  const { port, stop } = await serveMetrics(scrape, { host: HOST, port: METRICS_PORT })
  stops.push(stop)
  logger.info('metrics are served', { port })
}
