import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import path from 'node:path'

const cache = path.join(tmpdir(), 'mandate-gateway-image')
const storage = [
  '--root',
  path.join(cache, 'storage'),
  '--runroot',
  path.join(cache, 'run'),
  '--cgroup-manager',
  'cgroupfs',
  '--runtime',
  'runc',
]

export const image = 'localhost/mandate-gateway'
export const base = 'docker.io/library/node:26-bookworm-slim'

interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Runs podman on the storage that the image was built in. Resolves with whatever it says. */
export const podman = (...args: string[]) =>
  new Promise<Ran>((resolve) => {
    execFile('podman', [...storage, ...args], { maxBuffer: 16 << 20 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })

/** Returns what podman writes; rejects when it fails. */
export async function said(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await podman(...args)
  if (code !== 0) throw new Error(`podman ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`)
  return stdout.trim()
}

/**
 * As Kubernetes would run it: nothing to write to, an ordinary user, no capabilities. podman itself needs
 * systemd for a health check, so the test runs its command.
 */
const confined = [
  '--pull',
  'never',
  '--network',
  'host',
  '--no-healthcheck',
  '--read-only',
  '--user',
  '1000:1000',
  '--cap-drop',
  'all',
  '--security-opt',
  'no-new-privileges',
  '--ulimit',
  'nofile=8192:8192',
  '--ulimit',
  'nproc=4096:4096',
  '--tmpfs',
  '/tmp',
]

const variables = (environment: Record<string, string>) =>
  Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`])

/** Runs a command in a container to its end. */
export const runOnce = (environment: Record<string, string>, ...command: string[]) =>
  podman('run', '--rm', ...confined, ...variables(environment), image, ...command)

/**
 * Starts the gateway in a container; `mounts` are files of the host by path in the container. Returns the
 * container's name.
 */
export const startContainer = (
  name: string,
  environment: Record<string, string>,
  mounts: Record<string, string>,
) =>
  said(
    'run',
    '--detach',
    '--name',
    name,
    ...confined,
    ...variables(environment),
    ...Object.entries(mounts).flatMap(([inside, file]) => ['--volume', `${file}:${inside}:ro`]),
    image,
  )
