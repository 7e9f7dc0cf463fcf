import './domain/node-version.js'
import cluster from 'node:cluster'
import { ConfigError, loadConfig, unknownVariables, type Config } from './config.js'
import { demoGreeting } from './process/demo-greeting.js'
import { withDevelopmentSecrets } from './process/development-secrets.js'
import { exitCodes } from './domain/exit-codes.js'
import { bufferedOutput, type Output } from './observability/buffered-output.js'
import { createLog, type Log, type Logger } from './observability/logger.js'
import { createMetrics } from './observability/metrics.js'
import { offerSetup } from './process/offer-setup.js'
import { openMetrics } from './process/metrics-port.js'
import { Lifecycle, type ReportFailure } from './gateway/lifecycle.js'
import { prepare } from './process/prepare.js'
import { RouteTableError, loadRouteTable } from './proxy/route-table.js'
import { serve } from './process/serve.js'
import { stopSignal } from './process/stop-signals.js'
import { answerPrimary, gatherMetrics, scrapeAll } from './process/worker-metrics.js'
import { receiveTask, startWorkers, tellListening } from './process/workers.js'

/** The stop is cut short after this time, because a part hangs: the drain of requests ends far earlier. */
const longestStopMs = 60_000

/** Starts the process of the command: it serves by itself, or it keeps the workers. */
async function startPrimary(
  loaded: Config,
  log: Log,
  output: Output,
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<void> {
  // a fault in the route file is reported before any part starts
  await loadRouteTable(loaded.GATEWAY_ROUTES)
  const { config, generated } = await withDevelopmentSecrets(loaded)
  for (const warning of unknownVariables()) log.logger.warn(warning)
  if (generated.length > 0)
    log.logger.warn('secrets were generated into DATA_DIR: good for development only', { generated })
  const prepared = await prepare(config, log.logger, lifecycle, signal)
  const hasWorkers = config.GATEWAY_WORKERS > 1
  const metrics = createMetrics()
  const scrape = hasWorkers ? gatherMetrics : () => metrics.registry.metrics()
  await openMetrics(config, scrape, log.logger, lifecycle)
  const url = hasWorkers
    ? await startWorkers(config, prepared, log.logger, lifecycle)
    : await serve(config, { log, prepared, lifecycle, metrics, scrape })
  if (config.SEED_DEMO) output.write(demoGreeting(url))
  await offerSetup(config, prepared, url, log.logger, (text) => output.write(text))
}

async function startWorker(loaded: Config, log: Log, lifecycle: Lifecycle): Promise<void> {
  const { config, prepared } = await receiveTask(loaded)
  const metrics = createMetrics()
  answerPrimary(metrics.registry)
  tellListening(await serve(config, { log, prepared, lifecycle, metrics, scrape: scrapeAll }))
}

const reportTo =
  (logger: Logger): ReportFailure =>
  (part, error) =>
    logger.error('a part did not stop as it should', { part, error })

/** Returns why the process cannot start, for the operator. */
function explain(error: unknown): string {
  // knex puts the statement, with its values, before the database's message
  return error instanceof Error ? (error.message.split(' - ').at(-1) ?? '') : String(error)
}

/**
 * Switches the log between `debug` and LOG_LEVEL on SIGUSR2. A primary process sends the signal on to its
 * workers.
 */
function toggleDebug(log: Log, { LOG_LEVEL }: Config): void {
  const level = log.level() === 'debug' ? LOG_LEVEL : 'debug'
  log.setLevel(level)
  log.logger.warn('the log’s level was changed', { to: level })
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGUSR2')
}

async function main(): Promise<number> {
  const stopping = new AbortController()
  const stopRequested = stopSignal(() => process.exit(130)).then(() => stopping.abort())
  const lifecycle = new Lifecycle()
  const output = bufferedOutput(1)
  let logger: Logger | undefined
  try {
    const config = loadConfig()
    const log = createLog(config, output)
    logger = log.logger
    process.on('SIGUSR2', () => toggleDebug(log, config))
    await (cluster.isWorker
      ? startWorker(config, log, lifecycle)
      : startPrimary(config, log, output, lifecycle, stopping.signal))
    await stopRequested
    logger.info('draining')
    const patience = setTimeout(() => process.exit(1), longestStopMs)
    await lifecycle.stop(reportTo(logger))
    clearTimeout(patience)
    logger.info('stopped')
    return 0
  } catch (error) {
    if (logger) await lifecycle.stop(reportTo(logger))
    output.flush()
    if (stopping.signal.aborted) return 0 // a signal asked it to stop during the start
    process.stderr.write(`mandate-gateway cannot start. ${explain(error)}\n`)
    return error instanceof ConfigError || error instanceof RouteTableError ? exitCodes.configuration : 1
  }
}

process.exitCode = await main()
if (cluster.isWorker) process.disconnect()
// Open handles (standard output, a timer) do not keep the process any longer.
setTimeout(() => process.exit(), 1000).unref()
