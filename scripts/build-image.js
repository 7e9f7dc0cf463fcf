/**
 * Builds the container image from the Dockerfile with buildah, which needs no engine: `npm run build:image
 * [-- NAME]`. Where no registry of images can be reached, the base image is made here: Debian by debootstrap,
 * Node from its npm package. Registry settings and certificates of this machine are mounted while it builds
 * and are not in the image.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** What the Dockerfile builds on. */
const base = 'docker.io/library/node:26-bookworm-slim'
const nodeVersion = '26.12.1'
/** What Node's binary is linked with, and the authorities that TLS is checked against. */
const packages = 'libatomic1,libstdc++6,ca-certificates'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = path.join(tmpdir(), 'mandate-gateway-image')
const storage = ['--root', path.join(cache, 'storage'), '--runroot', path.join(cache, 'run')]
const isThere = (/** @type {string} */ file) =>
  access(file).then(
    () => true,
    () => false,
  )

/**
 * Returns what a program wrote to its output. @param {string} command @param {string[]} args @param
 * {NodeJS.ProcessEnv} env
 */
async function run(command, args, env = {}) {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, BUILDAH_ISOLATION: 'chroot', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${output}`)
  return output.trim()
}

const buildah = (/** @type {string[]} */ ...args) => run('buildah', [...storage, ...args])

/** Returns a Debian of the smallest kind, made once. */
async function debian() {
  const folder = path.join(cache, 'debian')
  if (await isThere(folder)) return folder
  await rm(`${folder}.new`, { recursive: true, force: true })
  await run('debootstrap', ['--variant=minbase', `--include=${packages}`, 'bookworm', `${folder}.new`])
  for (const leftover of ['var/cache/apt/archives', 'var/lib/apt/lists'])
    await rm(path.join(`${folder}.new`, leftover), { recursive: true })
  await run('mv', [`${folder}.new`, folder])
  return folder
}

/** Puts Node of its npm package, and the npm that runs here, below `folder`. @param {string} folder */
async function addNode(folder) {
  const scratch = await mkdtemp(path.join(cache, 'node-'))
  const name = `node-${process.platform}-${process.arch}@${nodeVersion}`
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', scratch, name])
  await run('tar', [
    '--extract',
    '--gzip',
    '--no-same-owner',
    '--directory',
    scratch,
    '--file',
    path.join(scratch, packed),
    'package/bin/node',
  ])
  const [bin, modules] = ['usr/local/bin', 'usr/local/lib/node_modules'].map((name) =>
    path.join(folder, name),
  )
  await Promise.all([bin, modules].map((name) => mkdir(name, { recursive: true })))
  await cp(path.join(scratch, 'package/bin/node'), path.join(bin, 'node'))
  await cp(path.join(await run('npm', ['root', '--global']), 'npm'), path.join(modules, 'npm'), {
    recursive: true,
  })
  for (const program of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${program}-cli.js`, path.join(bin, program))
  await rm(scratch, { recursive: true })
}

/** Makes an image with the name of the official one, where there is none. */
async function prepareBase() {
  const names = await buildah('images', '--format', '{{.Name}}:{{.Tag}}')
  if (names.split('\n').includes(base)) return
  const from = await debian()
  const container = await buildah('from', 'scratch')
  const folder = await buildah('mount', container)
  await run('cp', ['--archive', `${from}/.`, folder])
  await addNode(folder)
  await run('chroot', [folder, 'groupadd', '--gid', '1000', 'node'])
  await run('chroot', [folder, 'useradd', '--uid', '1000', '--gid', 'node', '--create-home', 'node'])
  await buildah('umount', container)
  await buildah(
    'config',
    '--env',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    '--cmd',
    'node',
    container,
  )
  await buildah('commit', '--quiet', '--rm', '--format', 'docker', container, base)
}

/**
 * Returns what the steps of the build see of this machine: npm's registry and cache, and the certificates.
 */
async function mounts() {
  const settings = path.join(cache, 'npmrc')
  const [registry, cafile] = await Promise.all(
    ['registry', 'cafile'].map((name) => run('npm', ['config', 'get', name])),
  )
  await writeFile(
    settings,
    [`registry=${registry}`, ...(cafile && cafile !== 'null' ? [`cafile=${cafile}`] : [])].join('\n'),
  )
  const npmCache = path.join(homedir(), '.npm')
  await mkdir(npmCache, { recursive: true })
  return [
    `${settings}:/root/.npmrc:ro`,
    `${npmCache}:/root/.npm`,
    '/etc/ssl/certs:/etc/ssl/certs:ro',
  ].flatMap((mount) => ['--volume', mount])
}

await mkdir(cache, { recursive: true })
const [name = 'localhost/mandate-gateway'] = process.argv.slice(2)
await prepareBase()
// The OCI format has no HEALTHCHECK.
await run('buildah', [
  ...storage,
  'bud',
  '--pull-never',
  '--format',
  'docker',
  '--layers=false',
  ...(await mounts()),
  '--tag',
  name,
  root,
])
await buildah('rmi', '--prune') // what earlier builds had the name for
process.stdout.write(`${name} is built. podman ${storage.join(' ')} knows it.\n`)
