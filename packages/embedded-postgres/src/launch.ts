import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { messageOf } from './errors.js'
import { commandOf, type Runner } from './strategies.js'

/** What is needed to start one cluster's server again and again. */
export interface Server {
  cluster: string
  dataDir: string
  runner: Runner
  password: string
  durable: boolean
  /** once URLs with it are handed out; before, any free one */
  port?: number
}

/** The server's process. */
export interface Launched {
  /** how it ended, once it did */
  ended(): string | undefined
  /** stops it however far it got; resolves when it has ended */
  interrupt(): Promise<void>
}

/** Starts the server's process. `postmaster.pid` tells when it is ready. */
export async function launch(server: Server, log: string): Promise<Launched> {
  const { strategy, binaries } = server.runner
  const relaxed = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${server.port ?? (await freePort())}`,
    'unix_socket_directories=',
    'max_connections=200',
    'timezone=UTC',
    'log_timezone=UTC',
    'log_checkpoints=off',
    ...(server.durable ? [] : relaxed),
  ]
  const { file, args, options } = commandOf(strategy, path.join(binaries.native, 'bin', 'postgres'), [
    '-D',
    server.cluster,
    ...settings.flatMap((setting) => ['-c', setting]),
  ])
  // A file, not a pipe: the server can still write to it when this process is gone.
  const output = await open(log, 'a', 0o600)
  let end: string | undefined
  // Detached: otherwise Ctrl-C in a terminal would stop it before the gateway has drained.
  const child = spawn(file, args, { ...options, detached: true, stdio: ['ignore', output.fd, output.fd] })
  const ended = new Promise<void>((resolve) => {
    const note = (how: string) => {
      end = how
      resolve()
    }
    child.once('error', (error) => note(`could not be started (${messageOf(error)})`))
    child.once('exit', (code, signal) => note(`exited with ${signal ?? code}`))
  })
  child.unref()
  await output.close()
  const interrupt = () => {
    child.ref()
    child.kill('SIGINT')
    return ended
  }
  return { ended: () => end, interrupt }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const address = probe.address()
        probe.close(() => {
          if (address !== null && typeof address === 'object') resolve(address.port)
          else reject(new Error('no free port'))
        })
      })
  })
}
