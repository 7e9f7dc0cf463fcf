import { execFile, execFileSync } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { testSecret } from '../support/gateway.js'

const root = path.resolve(import.meta.dirname, '../..')
const chart = path.join(root, 'deploy/helm/mandate-gateway')
const sets = (await readdir(path.join(chart, 'ci'))).map((file) => file.replace('-values.yaml', ''))
const examples = (await readdir(path.join(root, 'deploy/kubernetes'))).filter((file) =>
  file.endsWith('.yaml'),
)
const valuesOf = (set: string) => path.join(chart, 'ci', `${set}-values.yaml`)
const read = (file: string) => readFile(path.join(root, file), 'utf8')

interface Ran {
  code: number
  output: string
}
interface Container {
  name: string
  command?: string[]
  env: {
    name: string
    value?: string
    valueFrom?: { secretKeyRef: { name: string; key: string; optional?: boolean } }
  }[]
  securityContext: object
  lifecycle?: { preStop: { exec: { command: string[] } } }
}
interface PodSpec {
  terminationGracePeriodSeconds?: number
  automountServiceAccountToken: boolean
  securityContext: object
  containers: Container[]
}
interface Manifest {
  kind: string
  metadata: { name: string; annotations?: Record<string, string> }
  data?: Record<string, string>
  spec: { template: { spec: PodSpec }; groups?: unknown }
}

let tools = ''
let scratch = ''
beforeAll(async () => {
  tools = execFileSync(process.execPath, ['scripts/chart-tools.js'], { cwd: root, encoding: 'utf8' }).trim()
  scratch = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-chart-'))
}, 900_000)
afterAll(() => rm(scratch, { recursive: true, force: true }))

const run = (program: string, ...args: string[]) =>
  new Promise<Ran>((resolve) => {
    execFile(path.join(tools, 'bin', program), args, { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      resolve(
        error === null ? { code: 0, output: stdout } : { code: Number(error.code), output: stdout + stderr },
      )
    })
  })
const template = (folder: string, set: string, ...args: string[]) =>
  run(
    'helm',
    'template',
    'door',
    folder,
    '--namespace',
    'gateway',
    '--kube-version',
    '1.37.0',
    '--values',
    valuesOf(set),
    ...args,
  )
const conform = (...files: string[]) =>
  run(
    'kubeconform',
    '-strict',
    '-summary',
    '-schema-location',
    path.join(tools, 'schemas/{{.ResourceKind}}{{.KindSuffix}}.json'),
    ...files,
  )

/** The objects that a set of values makes. */
async function objectsOf(set: string, ...args: string[]): Promise<Manifest[]> {
  const { code, output } = await template(chart, set, ...args)
  if (code !== 0) throw new Error(output)
  return parseAllDocuments(output).map((document) => document.toJS() as Manifest)
}

const find = (objects: Manifest[], kind: string) => objects.filter((one) => one.kind === kind)
const podsOf = (objects: Manifest[]) =>
  [...find(objects, 'Deployment'), ...find(objects, 'Job')].map(({ spec }) => spec.template.spec)

describe('the chart', () => {
  it.each(sets)(
    'with the values %s passes helm lint, and kubeconform finds no unknown field and no wrong type',
    async (set) => {
      expect(await run('helm', 'lint', '--strict', chart, '--values', valuesOf(set))).toMatchObject({
        code: 0,
      })
      const { code, output } = await template(chart, set)
      expect([code, output]).toEqual([0, expect.stringContaining('kind: Deployment')])
      const file = path.join(scratch, `${set}.yaml`)
      await writeFile(file, output)
      const found = await conform(file)
      expect(found).toEqual({ code: 0, output: expect.stringMatching(/Invalid: 0, Errors: 0, Skipped: 0/) })
    },
    60_000,
  )

  it.each([
    [
      'a field that Kubernetes does not have',
      'enableServiceLinks: false',
      'enableServiceLink: false',
      /enableServiceLink/,
    ],
    [
      'a text where a number belongs',
      'revisionHistoryLimit: 5',
      'revisionHistoryLimit: "five"',
      /revisionHistoryLimit/,
    ],
    [
      'a required field that is missing',
      '      serviceAccountName',
      '      containers: []\n      serviceAccountName',
      /containers/,
    ],
  ])(
    'with %s is refused',
    async (_what, from, to, names) => {
      const broken = path.join(scratch, 'broken')
      await cp(chart, broken, { recursive: true })
      const file = path.join(broken, 'templates/deployment.yaml')
      const text = await readFile(file, 'utf8')
      expect(text).toContain(from)
      await writeFile(file, text.replace(from, to))
      const rendered = path.join(scratch, 'broken.yaml')
      await writeFile(rendered, (await template(broken, 'small')).output)
      expect(await conform(rendered)).toEqual({ code: 1, output: expect.stringMatching(names) })
      await rm(broken, { recursive: true })
    },
    60_000,
  )

  it.each([
    ['an unknown value', ['--set', 'replcas=3'], /additional properties 'replcas' not allowed/],
    [
      'an unknown value further down',
      ['--set', 'database.url=postgres://x'],
      /'\/database': additional properties 'url' not allowed/,
    ],
    ['a secret among the variables', ['--set', 'gateway.env.SECRET_KEY=abc'], /SECRET_KEY/],
    ['no address', ['--set', 'gateway.publicUrl='], /publicUrl/],
    [
      'no login of the owner',
      ['--set', 'database.migration.existingSecret='],
      /database\.migration\.existingSecret is empty: name the Secret/,
    ],
    ['no route table', ['--set-json', 'routes.table=null'], /routes\.table is empty: write the route table/],
    [
      'an ingress without hosts',
      ['--set', 'ingress.enabled=true'],
      /ingress\.hosts is empty: name the hosts/,
    ],
  ])('refuses %s, and says which value it is', async (_what, args, says) => {
    expect(await template(chart, 'small', ...args)).toEqual({ code: 1, output: expect.stringMatching(says) })
  })

  it.each(sets)(
    'with the values %s runs each container as an ordinary user without capabilities or write access',
    async (set) => {
      for (const pod of podsOf(await objectsOf(set))) {
        expect(pod).toMatchObject({
          automountServiceAccountToken: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            seccompProfile: { type: 'RuntimeDefault' },
          },
        })
        for (const { securityContext } of pod.containers)
          expect(securityContext).toMatchObject({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          })
      }
    },
  )

  it.each(sets)(
    'with the values %s names secrets and holds none, and only the migration has the owner’s login',
    async (set) => {
      const objects = await objectsOf(set)
      expect(find(objects, 'Secret')).toEqual([])
      const secret = /SECRET|PASSWORD|PRIVATE_KEY|DATABASE|REDIS_URL/
      for (const { env } of podsOf(objects).flatMap(({ containers }) => containers)) {
        for (const { name, value } of env)
          if (secret.test(name)) expect([name, value]).toEqual([name, undefined])
      }
      const withOwner = objects
        .filter((one) => JSON.stringify(one).includes('DATABASE_MIGRATION_URL'))
        .map(({ kind }) => kind)
      expect(withOwner).toEqual(['Job'])
      expect(find(objects, 'Job')[0]).toMatchObject({
        metadata: { annotations: { 'helm.sh/hook': 'pre-install,pre-upgrade' } },
        spec: { template: { spec: { containers: [{ command: ['node', 'dist/cli.js', 'migrate'] }] } } },
      })
    },
  )

  it.each(sets)(
    'with the values %s sets variables that the gateway takes, and a route table without a fault',
    async (set) => {
      const objects = await objectsOf(set)
      for (const { env } of podsOf(objects).flatMap(({ containers }) => containers)) {
        const urls: Record<string, string> = { REDIS_URL: 'redis://redis' }
        const secret = (name: string) =>
          name.endsWith('_URL') ? (urls[name] ?? 'postgres://gateway@db/gateway') : testSecret
        const filled = Object.fromEntries(env.map(({ name, value }) => [name, value ?? secret(name)]))
        const config = loadConfig({
          NODE_ENV: 'production',
          GOOGLE_CLIENT_ID: 'one',
          MSFT_CLIENT_ID: 'two',
          ...filled,
        })
        expect(env.map(({ name }) => name).filter((name) => !(name in config))).toEqual([])
      }
      const tables = find(objects, 'ConfigMap').flatMap(({ data }) => data?.['routes.yaml'] ?? [])
      for (const table of tables)
        expect(parseRouteTable(table, 'routes.yaml').routes.length).toBeGreaterThan(0)
      expect(tables).toHaveLength(set === 'redis' ? 0 : 1)
    },
  )

  it('starts new pods when the route table changes, and gives a pod the time to drain', async () => {
    const [before, after] = await Promise.all(
      [[], ['--set', 'routes.table.routes./api/crm.mandate=optional']].map(
        async (args) => find(await objectsOf('small', ...args), 'Deployment')[0],
      ),
    )
    expect(JSON.stringify(before)).toMatch(/checksum\/routes/)
    expect(JSON.stringify(after)).not.toBe(JSON.stringify(before))
    const pod = before?.spec.template.spec
    const preStop = Number(pod?.containers[0]?.lifecycle?.preStop.exec.command[1])
    const drainSeconds = Number(/longestMs = (\d+)_000/.exec(await read('src/http/drain.ts'))?.[1])
    expect(pod?.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + drainSeconds + 5)
  })

  it('has the alerts and the dashboard of deploy/compose, and the version of the gateway', async () => {
    const { version } = JSON.parse(await read('package.json')) as { version: string }
    expect(parse(await read('deploy/helm/mandate-gateway/Chart.yaml'))).toMatchObject({
      version,
      appVersion: version,
    })
    const objects = await objectsOf('three-replicas')
    expect(find(objects, 'PrometheusRule')[0]?.spec.groups).toEqual(
      (parse(await read('deploy/compose/alerts.yml')) as { groups: unknown }).groups,
    )
    expect(
      find(objects, 'ConfigMap')
        .flatMap(({ data }) => data?.['mandate-gateway.json'] ?? [])
        .map((text) => JSON.parse(text) as unknown),
    ).toEqual([JSON.parse(await read('deploy/compose/grafana/dashboards/gateway.json'))])
  })

  it('says which file is missing, where the links to deploy/compose were not copied', async () => {
    const without = path.join(scratch, 'without')
    await cp(chart, without, { recursive: true })
    await rm(path.join(without, 'files'), { recursive: true })
    expect(await template(without, 'three-replicas')).toEqual({
      code: 1,
      output: expect.stringMatching(/files\/alerts\.yml is missing: copy deploy\/compose\/alerts\.yml/),
    })
  })

  it('describes each set of values in its README', async () => {
    const readme = await read('deploy/helm/mandate-gateway/README.md')
    for (const set of sets) expect(readme).toContain(`ci/${set}-values.yaml`)
  })
})

describe('the examples for Kubernetes', () => {
  it.each(examples)('%s has no field that its kinds do not have', async (file) => {
    const found = await conform(path.join(root, 'deploy/kubernetes', file))
    expect(found).toEqual({ code: 0, output: expect.stringMatching(/Invalid: 0, Errors: 0, Skipped: 0/) })
  })
})
