import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { until } from './until.js'

const run = promisify(execFile)
const services = path.join(import.meta.dirname, '../deploy/services')
const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  )

/**
 * Returns a Python that has the packages of `requirements.txt`: installed once for each version of that file.
 * Needs python3 with venv, and PyPI the first time.
 */
async function python(): Promise<string> {
  const requirements = path.join(services, 'requirements.txt')
  const version = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12)
  const folder = path.join(import.meta.dirname, `../../node_modules/.cache/python-${version}`)
  const executable = path.join(folder, 'bin/python')
  if (await exists(path.join(folder, 'installed'))) return executable
  await rm(folder, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', folder])
  await run(executable, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--requirement',
    requirements,
  ])
  await run('touch', [path.join(folder, 'installed')])
  return executable
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const answers = (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  )

/** Runs a program in Python to its end. Returns what it printed. */
export async function runPython(file: string, environment: Record<string, string>): Promise<string> {
  const { PATH = '' } = process.env
  return (await run(await python(), [file], { env: { PATH, ...environment } })).stdout
}

/** Starts a service of `test/deploy/services/`, or of another file, in Python, and waits until it answers. */
export async function startPython(
  file: string,
  args: string[] = [],
  environment: Record<string, string> = {},
): Promise<{ url: string; stop: () => Promise<void> }> {
  const executable = await python()
  const port = await freePort()
  const child: ChildProcess = spawn(executable, [path.resolve(services, file), String(port), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  await until(() => answers(url), 30_000)
  return {
    url,
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}
