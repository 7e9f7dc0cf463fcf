/** Real processes to measure: a Postgres, gateways, the servers they are compared with, and what they use. */
import { fork } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import pg from 'pg'
import { startEmbeddedPostgres } from '#embedded-postgres'

const here = (file) => fileURLToPath(new URL(file, import.meta.url))
const ticksPerSecond = 100 // of /proc/PID/stat, on every Linux
const secret = 'bench-secret-0123456789-abcdefghijklmnop'

export const acme = '00000000-0000-4000-8000-000000000101'
export const alice = '00000000-0000-4000-8000-000000000003'
export const root = '00000000-0000-4000-8000-000000000001'

/** Starts a server of `servers/`, which tells its URL by message. */
export async function startServer(file, args = []) {
  const child = fork(here(`servers/${file}`), args, { stdio: 'inherit' })
  const [{ url }] = await once(child, 'message')
  return { pid: child.pid, url, stop: () => child.disconnect() }
}

/** A durable Postgres of its own. */
export async function startDatabase() {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-bench-'))
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} })
  const owner = new pg.Pool({ connectionString: postgres.ownerUrl, max: 2 })
  return {
    url: postgres.url,
    ownerUrl: postgres.ownerUrl,
    sql: async (statement, values) => (await owner.query(statement, values)).rows,
    stop: async () => {
      await owner.end()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Starts a whole gateway with everything on and its rate limits out of reach. */
export async function startGateway(database, upstream, environment = {}) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-bench-'))
  const routes = path.join(dataDir, 'routes.yaml')
  await writeFile(
    routes,
    'upstreams:\n' +
      `  crm: { targets: ['${upstream}'] }\n` +
      'routes:\n' +
      '  /api/crm:\n' +
      '    { upstream: crm, mandate: required, instance: optional,\n' +
      '      permission: { context: RESOURCE, item: crm } }\n',
  )
  const child = fork(here('../dist/main.js'), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATA_DIR: dataDir,
      GATEWAY_ROUTES: routes,
      LOG_FORMAT: 'json',
      SEED_DEMO: 'true',
      APP_JWT_KEY_SECRET: secret,
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      RATE_LIMIT_ADDRESS: '100000000/60s',
      RATE_LIMIT_USER: '100000000/60s',
      ...environment,
    },
  })
  const url = await new Promise((resolve) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      if (output === undefined) return // the access lines that follow are read and dropped
      output += chunk
      const found = /is ready: (\S+)/.exec(output)
      if (!found) return
      output = undefined
      resolve(found[1])
    })
  })
  return {
    pid: child.pid,
    url,
    stop: async () => {
      child.kill('SIGTERM')
      const code = child.exitCode ?? (await once(child, 'exit'))[0]
      await rm(dataDir, { recursive: true, force: true })
      return code
    },
  }
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

function sign(claims) {
  const signed = `${base64url({ alg: 'HS256', typ: 'at+jwt' })}.${base64url(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** Logs users in, all at once: sessions, token rows and tokens. */
export async function loginAll(database, users) {
  const logins = users.map((user) => ({ ...user, sid: randomUUID(), jti: randomUUID() }))
  const rows = JSON.stringify(logins)
  await database.sql(
    `insert into sessions (id, user_id, authority)
      select sid, id, 'local'
      from jsonb_to_recordset($1::jsonb) as l (id uuid, sid uuid)`,
    [rows],
  )
  await database.sql(
    `insert into tokens (id, user_id, authority, session_id, expires_at)
    select jti, id, 'local', sid, now() + interval '6 hours'
      from jsonb_to_recordset($1::jsonb) as l (id uuid, sid uuid, jti uuid)`,
    [rows],
  )
  const now = Math.floor(Date.now() / 1000)
  return logins.map(({ id, username, sid, jti }) => ({
    jti,
    token: sign({
      sub: username,
      userId: id,
      authenticationAuthority: 'local',
      jti,
      sid,
      iat: now,
      exp: now + 6 * 3600,
      iss: 'mandate-gateway',
    }),
  }))
}

/** CPU seconds that a process has used. */
async function cpuSeconds(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Resident memory of a process, in bytes. */
export async function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** Loads a server for some seconds. Every answer must be 2xx. */
export async function load({ pid, url, headers = {}, requests }, seconds, connections = 32) {
  const before = await cpuSeconds(pid)
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    headers,
    ...(requests ? { requests } : {}),
  })
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} answers were not 2xx, ${result.errors} errors`)
  const count = result['2xx']
  return {
    count,
    perSecond: count / result.duration,
    micros: (((await cpuSeconds(pid)) - before) / count) * 1e6,
    p99: result.latency.p99,
  }
}

/** The value below which a share of them lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

export const median = (values) => quantile(values, 0.5)
