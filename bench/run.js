/**
 * `npm run bench [seconds a turn] [turns]`: throughput and server CPU per request, all candidates in turn, several times,
 * so that a noisy machine is as unfair to one as to another. Ratios are of the CPU time: they swing less than throughput.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'

const seconds = Number(process.argv[2] ?? 3)
const turns = Number(process.argv[3] ?? 3)
const connections = 32
const acme = '00000000-0000-4000-8000-000000000101'
const ticksPerSecond = 100 // of /proc/PID/stat, on every Linux

const here = (file) => fileURLToPath(new URL(file, import.meta.url))

/** Starts a server that tells its URL by message. */
async function startServer(file, args = []) {
  const child = fork(here(file), args, { stdio: 'inherit' })
  const [{ url }] = await once(child, 'message')
  return { pid: child.pid, url, stop: () => child.disconnect() }
}

/** Starts the whole gateway with everything on, its rate limits out of reach, and logs in as alice. */
async function startGateway(upstream) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-bench-'))
  const routes = path.join(dataDir, 'routes.yaml')
  await writeFile(routes, `upstreams:\n  crm: { targets: ['${upstream}'] }\nroutes:\n  /api/crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }\n`)
  const child = fork(here('../dist/main.js'), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: dataDir, GATEWAY_ROUTES: routes, RATE_LIMIT_ADDRESS: '100000000/60s', RATE_LIMIT_USER: '100000000/60s', LOG_FORMAT: 'json' },
  })
  let output = ''
  const url = await new Promise((resolve) => {
    child.stdout.on('data', (chunk) => {
      if (output !== undefined) output += chunk
      const found = /is ready: (\S+)/.exec(output ?? '')
      if (found) {
        output = undefined // the access lines that follow are read and dropped
        resolve(found[1])
      }
    })
  })
  const login = await fetch(`${url}/auth/login`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username: 'alice', password: 'demo-password-1' }),
  })
  const cookie = login.headers.getSetCookie()[0].split(';')[0]
  return {
    pid: child.pid, url, headers: { cookie, 'x-mandate-id': acme },
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** CPU seconds that a process has used. */
async function cpuSeconds(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

async function turn({ pid, url, headers = {} }) {
  const before = await cpuSeconds(pid)
  const result = await autocannon({ url, connections, duration: seconds, headers })
  const requests = result['2xx']
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${url}: ${result.non2xx} answers were not 2xx, ${result.errors} errors`)
  return { perSecond: requests / result.duration, micros: (await cpuSeconds(pid) - before) / requests * 1e6, p99: result.latency.p99 }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

const bare = await startServer('servers/bare.js')
const express = await startServer('servers/express.js')
const proxy = await startServer('servers/undici-proxy.js', [bare.url])
const gateway = await startGateway(bare.url)
const candidates = [
  { name: 'bare node:http', ...bare },
  { name: 'stock Express 5', ...express },
  { name: 'bare node:http + undici', ...proxy, headers: gateway.headers },
  { name: 'gateway, answered itself', ...gateway, url: `${gateway.url}/auth/permissions?context=RESOURCE&item=crm.contacts` },
  { name: 'gateway, forwarded', ...gateway, url: `${gateway.url}/api/crm/contacts` },
]

try {
  for (const candidate of candidates) await turn(candidate) // warm-up
  const measured = new Map(candidates.map(({ name }) => [name, []]))
  for (let round = 0; round < turns; round += 1) {
    for (const candidate of candidates) measured.get(candidate.name).push(await turn(candidate))
  }
  const of = (name, field) => median(measured.get(name).map((one) => one[field]))
  const ratio = (base, name) => (of(base, 'micros') / of(name, 'micros')).toFixed(2)
  process.stdout.write(`\n${cpus().length} × ${cpus()[0].model.trim()}, Node ${process.version}, ${connections} connections, ${turns} turns of ${seconds} s\n\n`)
  process.stdout.write('| what | µs CPU per request | requests/s | p99 ms | of bare node:http | of stock Express | of bare undici proxy |\n| --- | --- | --- | --- | --- | --- | --- |\n')
  for (const { name } of candidates) {
    process.stdout.write(`| ${name} | ${of(name, 'micros').toFixed(0)} | ${of(name, 'perSecond').toFixed(0)} | ${of(name, 'p99')} | ${ratio('bare node:http', name)} | ${ratio('stock Express 5', name)} | ${ratio('bare node:http + undici', name)} |\n`)
  }
} finally {
  for (const server of [bare, express, proxy]) server.stop()
  await gateway.stop()
}
