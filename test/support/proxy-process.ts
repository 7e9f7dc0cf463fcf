import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeCertificate } from './certificate.js'
import { until } from './until.js'

const root = path.resolve(import.meta.dirname, '../..')

/** A proxy that runs in the foreground, below a directory of its own. */
export interface Proxy {
  /** Where it speaks plain HTTP/1.1. */
  url: string
  /** Where it speaks TLS, HTTP/2 as well, with a certificate of its own. */
  tlsUrl: string
  /** What it has written so far. */
  output: () => string
  stop: () => Promise<void>
}

/** A port that nobody has at the moment. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/**
 * A file of `deploy/` with other addresses. What is to be replaced must be there, so that files and tests
 * cannot drift apart.
 */
export async function deployed(file: string, replacements: Record<string, string>): Promise<string> {
  let text = await readFile(path.join(root, 'deploy', file), 'utf8')
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`deploy/${file} does not say ${from}`)
    text = text.replaceAll(from, to)
  }
  return text
}

/** What `setpriv` ends with when there is no such program, as a shell would. */
const notFound = 127

/**
 * Starts a program in the foreground, which ends with this process however that ends. One that is not
 * installed is a failure, not a reason to skip.
 */
function start(command: string, args: string[]) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  let code: number | null | undefined
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => {
      code = notFound
    })
    child.once('close', (status) => {
      code ??= status
      resolve()
    })
  })
  return {
    output: () => output,
    /** Undefined while it runs, null when it was killed. Throws when it is not installed. */
    exitCode: () => {
      if (code === notFound)
        throw new Error(
          `These tests run the real ${command}, which is not installed: apt-get install ` +
            'nginx haproxy openssl (and util-linux, for setpriv)',
        )
      return code
    },
    kill: () => {
      child.kill('SIGKILL')
    },
    ended,
  }
}

/** Runs a program to its end and answers its exit code and what it has written. */
export async function runToEnd(
  command: string,
  args: string[],
): Promise<{ code: number | null; output: string }> {
  const run = start(command, args)
  await run.ended
  return { code: run.exitCode() ?? null, output: run.output() }
}

async function listens(port: number): Promise<true | undefined> {
  const socket = net.connect(port, '127.0.0.1')
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.destroy()
  return connected || undefined
}

/** Puts a key and its certificate for localhost into one file. */
async function makeKeyAndCertificate(file: string): Promise<void> {
  await makeCertificate({ key: file, certificate: `${file}.certificate` })
  const joined = await Promise.all([readFile(file, 'utf8'), readFile(`${file}.certificate`, 'utf8')])
  await writeFile(file, joined.join(''))
}

/** What a configuration is written with. */
export interface Place {
  directory: string
  port: number
  tlsPort: number
  /** A PEM file with key and certificate. */
  certificate: string
}

/**
 * Starts a proxy on free ports. `configure` writes its files and answers the command line, which must keep it
 * in the foreground.
 */
export async function startProxy(
  command: string,
  configure: (place: Place) => Promise<string[]>,
): Promise<Proxy> {
  const directory = await mkdtemp(path.join(tmpdir(), 'gateway-proxy-'))
  const place = {
    directory,
    port: await freePort(),
    tlsPort: await freePort(),
    certificate: path.join(directory, 'tls.pem'),
  }
  await makeKeyAndCertificate(place.certificate)
  const running = start(command, await configure(place))
  const stop = async () => {
    running.kill()
    await running.ended
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await until(async () => {
      if (running.exitCode() !== undefined)
        throw new Error(`${command} ended at its start:\n${running.output()}`)
      return (await listens(place.port)) && (await listens(place.tlsPort))
    })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `http://127.0.0.1:${place.port}`,
    tlsUrl: `https://127.0.0.1:${place.tlsPort}`,
    output: running.output,
    stop,
  }
}
