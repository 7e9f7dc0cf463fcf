import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { freePort } from './proxy-process.js'
import { until } from './until.js'

/**
 * A real PgBouncer. Beyond addresses, logins, the mode and how many sessions there may be, every setting is
 * its default.
 */
export interface Pooler {
  /** The same login and database as `url`, through the pooler. */
  through: (url: string) => string
  /**
   * New server connections lead to the server of `url`. In session mode a client keeps the one that it has.
   */
  lead: (url: string) => Promise<void>
  /** Gives every server connection up, as `server_lifetime` does from time to time. */
  renew: () => Promise<void>
  /** What it has written so far. */
  output: () => string
  stop: () => Promise<void>
}

const nobody = 65_534

interface Options {
  /** Until when a client keeps its server connection: `transaction` by default. */
  mode?: 'transaction' | 'session'
  /** Server connections for each login; PgBouncer's own default where it is not given. */
  sessions?: number
  /** PEM files with which it speaks TLS to its clients. */
  tls?: { key: string; certificate: string }
}

/** Starts PgBouncer in front of the server of these URLs, for their logins. It ends with this process. */
export async function startPgbouncer(
  urls: string[],
  { mode = 'transaction', sessions, tls }: Options = {},
): Promise<Pooler> {
  const directory = await mkdtemp(path.join(tmpdir(), 'pgbouncer-'))
  const port = await freePort()
  const [first = ''] = urls
  const users = new Map(
    urls.map((url) => new URL(url)).map(({ username, password }) => [username, decodeURIComponent(password)]),
  )
  const files = { ini: path.join(directory, 'pgbouncer.ini'), users: path.join(directory, 'users.txt') }
  await writeFile(files.users, [...users].map(([name, password]) => `"${name}" "${password}"\n`).join(''), {
    mode: 0o644,
  })
  const names = [...new Set(urls.map((url) => new URL(url).pathname.slice(1)))]
  const configure = ({ hostname, port: serverPort }: URL) =>
    writeFile(
      files.ini,
      `
[databases]
${names.map((name) => `${name} = host=${hostname} port=${serverPort}`).join('\n')}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = md5
auth_file = ${files.users}
admin_users = ${new URL(first).username}
pool_mode = ${mode}
${sessions === undefined ? '' : `default_pool_size = ${sessions}\nmax_client_conn = ${2 * sessions}`}
${tls ? `client_tls_sslmode = allow\nclient_tls_key_file = ${tls.key}\nclient_tls_cert_file = ${tls.certificate}` : ''}
`,
      { mode: 0o644 },
    )
  await configure(new URL(first))
  // It refuses to run as root.
  const asNobody =
    process.getuid?.() === 0 ? ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'] : []
  await chmod(directory, 0o755)
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...asNobody, 'pgbouncer', files.ini], {
    env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  const ended = once(child, 'close')
  const through = (url: string) => Object.assign(new URL(url), { port: String(port) }).href
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await until(() => {
      if (child.exitCode !== null)
        throw new Error(`PgBouncer ended at its start (apt-get install pgbouncer):\n${output}`)
      return Promise.resolve(output.includes('process up'))
    })
  } catch (error) {
    await stop()
    throw error
  }
  const command = async (statement: 'reconnect' | 'reload') => {
    const console = new pg.Client(Object.assign(new URL(through(first)), { pathname: '/pgbouncer' }).href)
    await console.connect()
    // Version 1.18 takes a connection that it closes while it logs in for a failed login, and then refuses
    // everybody for 15 s.
    await until(async () =>
      (await console.query<{ state: string }>('show servers')).rows.every(({ state }) => state !== 'new'),
    )
    await console.query(statement)
    await console.end()
  }
  return {
    through,
    stop,
    output: () => output,
    lead: async (url) => {
      await configure(new URL(url))
      await command('reload')
    },
    renew: () => command('reconnect'),
  }
}
