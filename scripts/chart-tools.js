/**
 * Builds helm and kubeconform and makes the schemas that manifests are checked against: `node
 * scripts/chart-tools.js`. All of it comes from the Go module proxy at exact versions, and stays below the
 * system's folder for temporary files. Prints the folder.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { customResources } from './chart/crd-schemas.js'
import { fileOf, kubernetesDefinitions, standalone } from './chart/kubernetes-schemas.js'
import { monitoringSchemas } from './chart/monitoring-schemas.js'

const programs = ['github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0', 'helm.sh/helm/v3/cmd/helm@v3.22.0']
const modules = {
  clientGo: 'k8s.io/client-go@v0.37.0',
  cliRuntime: 'k8s.io/cli-runtime@v0.37.0',
  monitoring: 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@v0.95.2',
  gatewayApi: 'sigs.k8s.io/gateway-api@v1.6.3',
  traefik: 'github.com/traefik/traefik/v3@v3.7.13',
  envoyGateway: 'github.com/envoyproxy/gateway@v1.9.1',
}
/** The least Go 1.x that these can be built with. */
const leastGoMinor = 26
/** The resources of Kubernetes itself that the chart and the examples have. */
const resources = [
  'apps.v1.Deployment',
  'batch.v1.Job',
  'autoscaling.v2.HorizontalPodAutoscaler',
  'policy.v1.PodDisruptionBudget',
  'networking.v1.NetworkPolicy',
  'networking.v1.Ingress',
  'core.v1.Service',
  'core.v1.ServiceAccount',
  'core.v1.ConfigMap',
  'core.v1.Secret',
  'core.v1.Pod',
]

const folder = path.join(tmpdir(), 'mandate-gateway-chart-tools')
const bin = path.join(folder, 'bin')
const schemas = path.join(folder, 'schemas')
const isThere = (/** @type {string} */ file) =>
  access(file).then(
    () => true,
    () => false,
  )

/** Returns what a program wrote to its output. @param {string} command @param {string[]} args */
async function run(command, ...args) {
  const env = { ...process.env, GOBIN: bin, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' }
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${output}`)
  return output
}

/**
 * Returns the Go to build with: the installed one, or, where that is older (Debian's is 1.19), one of the
 * module proxy.
 */
async function goProgram() {
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(await run('go', 'version')) ?? []
  if (Number(major) > 1 || Number(minor) >= leastGoMinor) return 'go'
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const module = `golang.org/toolchain@v0.0.1-go1.${leastGoMinor}.0.${process.platform}-${arch}`
  const { Dir: toolchain } = JSON.parse(await run('go', 'mod', 'download', '-json', module))
  // The module cache keeps no file that may be run.
  await run('chmod', '-R', 'u+w,a+x', path.join(toolchain, 'bin'), path.join(toolchain, 'pkg', 'tool'))
  return path.join(toolchain, 'bin', 'go')
}

await mkdir(folder, { recursive: true })
const goCommand = await goProgram()
/** @param {string[]} args */
const go = (...args) => run(goCommand, ...args)

/** Builds a program where it is not there at this version. @param {string} program */
async function build(program) {
  const [name = '', version = ''] = program.split('/').at(-1)?.split('@') ?? []
  const built = path.join(bin, name)
  if ((await isThere(built)) && (await go('version', '-m', built)).includes(version)) return
  await go('install', program)
}

/** Returns the folder of a Go module. @param {string} module @returns {Promise<string>} */
const download = async (module) => JSON.parse(await go('mod', 'download', '-json', module)).Dir

async function makeSchemas() {
  const made = fileURLToPath(import.meta.url)
  const parts = ['kubernetes', 'crd', 'monitoring'].map((name) =>
    path.join(path.dirname(made), 'chart', `${name}-schemas.js`),
  )
  const stamp = createHash('sha256')
    .update((await Promise.all([made, ...parts].map((file) => readFile(file, 'utf8')))).join(''))
    .digest('hex')
  if ((await readFile(path.join(schemas, 'stamp'), 'utf8').catch(() => '')) === stamp) return
  const folders = Object.fromEntries(
    await Promise.all(Object.entries(modules).map(async ([name, module]) => [name, await download(module)])),
  )
  const [kubernetes, monitoring, ...custom] = await Promise.all([
    kubernetesDefinitions(folders),
    monitoringSchemas(folders.monitoring),
    customResources(path.join(folders.gatewayApi, 'config/crd/standard')),
    customResources(path.join(folders.traefik, 'docs/content/reference/dynamic-configuration')),
    customResources(path.join(folders.envoyGateway, 'charts/gateway-crds-helm/templates/generated')),
  ])
  const all = { ...kubernetes, ...monitoring.definitions }
  const own = resources.map((resource) => {
    const [group = '', version = '', kind = ''] = resource.split('.')
    const name = `io.k8s.api.${resource}`
    return /** @type {const} */ ([
      fileOf(kind, group === 'core' ? '' : group, version),
      { allOf: [{ $ref: `#/definitions/${name}` }] },
    ])
  })
  await rm(`${schemas}.new`, { recursive: true, force: true })
  await mkdir(`${schemas}.new`, { recursive: true })
  for (const [file, schema] of [...own, ...monitoring.schemas, ...custom.flat()])
    await writeFile(path.join(`${schemas}.new`, file), JSON.stringify(standalone(schema, all)))
  await writeFile(path.join(`${schemas}.new`, 'stamp'), stamp)
  await rm(schemas, { recursive: true, force: true })
  await rename(`${schemas}.new`, schemas)
}

await mkdir(bin, { recursive: true })
await Promise.all([makeSchemas(), ...programs.map(build)])
process.stdout.write(`${folder}\n`)
