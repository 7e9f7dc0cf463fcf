import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse } from 'yaml'
import { deployed, freePort, runToEnd } from '../../support/proxy-process.js'
import { hostOf } from '../../support/nginx.js'
import { until } from '../../support/until.js'

const compose = path.resolve(import.meta.dirname, '../../../deploy/compose')

/** Whether `prometheus` and `promtool` are there. */
export const isPrometheusInstalled = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
)

/** One series of an answer, at this moment. */
interface Series {
  labels: Record<string, string>
  value: number
}

/** A real Prometheus with the configuration of `deploy/compose`. */
export interface Prometheus {
  /** Evaluates an expression now. Rejects one that is not understood. */
  query: (expression: string) => Promise<Series[]>
  stop: () => Promise<void>
}

/** Starts it; only the nodes' addresses are others. */
export async function startPrometheus(nodes: string[]): Promise<Prometheus> {
  const directory = await mkdtemp(path.join(tmpdir(), 'gateway-prometheus-'))
  const configuration = await deployed(
    'compose/prometheus.yml',
    Object.fromEntries(nodes.map((url, index) => [`gateway-${index + 1}:9464`, hostOf(url)])),
  )
  await writeFile(path.join(directory, 'prometheus.yml'), configuration)
  await writeFile(path.join(directory, 'alerts.yml'), await deployed('compose/alerts.yml', {}))
  const url = `http://127.0.0.1:${await freePort()}`
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'prometheus',
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=${hostOf(url)}`,
    ],
    { stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  await until(
    async () => ((await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true ? true : undefined),
    20_000,
  )
  return {
    query: async (expression) => {
      const answer = await fetch(
        `${url}/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`,
      )
      const { status, error, data } = (await answer.json()) as {
        status: string
        error?: string
        data?: { result: { metric: Record<string, string>; value: [number, string] }[] }
      }
      if (status !== 'success' || !data) throw new Error(`${expression}: ${error ?? status}`)
      return data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }))
    },
    stop: async () => {
      child.kill('SIGKILL')
      await ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** What the panels of Grafana's dashboard ask, with its variables filled in as Grafana does. */
export async function queriesOfDashboard(): Promise<{ title: string; expression: string }[]> {
  const { panels } = JSON.parse(
    await readFile(path.join(compose, 'grafana/dashboards/gateway.json'), 'utf8'),
  ) as { panels: { title: string; targets: { expr: string }[] }[] }
  const filled = (expression: string) =>
    expression.replaceAll(/\$__(?:rate_)?interval/g, '1m').replaceAll('$__range', '1h')
  const queries = panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ title, expression: filled(expr) })),
  )
  const unknown = queries.filter(({ expression }) => expression.includes('$'))
  if (unknown.length > 0) throw new Error(`nobody fills in the variables of ${JSON.stringify(unknown)}`)
  return queries
}

/** What the alerts watch. */
export async function queriesOfAlerts(): Promise<string[]> {
  const { groups } = parse(await readFile(path.join(compose, 'alerts.yml'), 'utf8')) as {
    groups: { rules: { expr: string }[] }[]
  }
  return groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))
}

/** Has promtool look through configuration and alerts as they are. */
export const checkConfiguration = () =>
  runToEnd('promtool', ['check', 'config', path.join(compose, 'prometheus.yml')])
