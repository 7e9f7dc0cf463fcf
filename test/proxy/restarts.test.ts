import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import path from 'node:path'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { eventually } from '../support/within.js'

const program = path.resolve(import.meta.dirname, '../../examples/demo-upstream.js')

/** A service in a process of its own, on a port of its own, that can be killed and started again. */
interface Service {
  url: string
  start: () => Promise<void>
  /** SIGKILL, and the end of it. */
  kill: () => Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startService(): Promise<Service> {
  const port = await freePort()
  let child: ChildProcess | undefined
  const start = async () => {
    child = fork(program, { env: { PORT: String(port) }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    await once(child, 'message')
  }
  await start()
  return {
    url: `http://127.0.0.1:${port}`,
    start,
    kill: async () => {
      if (child?.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** What a request came to: its status (0: none), and what it said of when to come again. */
interface Outcome {
  status: number
  retryAfter: string | undefined
}

/** Sends GETs, so many at a time, each as soon as one has ended, until it is stopped. */
function load(url: string, headers: Record<string, string>, atATime: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: atATime })
  const outcomes: Outcome[] = []
  let running = true
  const ask = () =>
    new Promise<void>((resolve) => {
      const done = (status: number, retryAfter?: string) => {
        outcomes.push({ status, retryAfter })
        resolve()
      }
      const req = httpRequest(url, { headers, agent }, (res) => {
        let length = 0
        res.on('data', (chunk: Buffer) => {
          length += chunk.length
        })
        res.on('error', () => undefined)
        res.on('close', () =>
          done(res.complete && length > 0 ? (res.statusCode ?? 0) : 0, res.headers['retry-after']),
        )
      })
      req.on('error', () => done(0))
      req.end()
    })
  const workers = Array.from({ length: atATime }, async () => {
    while (running) await ask()
  })
  return {
    outcomes,
    /** How often each status came, since as many outcomes. */
    counts: (since = 0) =>
      outcomes
        .slice(since)
        .reduce<Record<number, number>>(
          (counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }),
          {},
        ),
    stop: async () => {
      running = false
      await Promise.all(workers)
      agent.destroy()
    },
  }
}

describe('services that are killed and started again under load', () => {
  let database: TestDatabase
  let headers: Record<string, string>
  beforeAll(async () => {
    database = await createTestDatabase()
    headers = {
      Authorization: `Bearer ${(await tokenFor(database, 'alice')).token}`,
      'X-Mandate-Id': mandates.acme,
    }
  })
  afterAll(() => database.drop())

  const startGateway = (services: Service[]) =>
    startTestGateway({
      database,
      environment: { COHERENCE_LEASE_MS: '5000' },
      routes: `
upstreams: { crm: { targets: [${services.map(({ url }) => `'${url}'`).join(', ')}] } }
routes:
  /api/crm: { upstream: crm, mandate: required, permission: { context: RESOURCE, item: crm } }
`,
    })

  /** Whether the last that was said of a target is that it is in use, if anything was. */
  const isUsed = ({ logLines }: TestGateway, { url }: Service) =>
    logLines
      .filter((line) => line.includes('a target') && line.includes(new URL(url).host))
      .at(-1)
      ?.includes('in use again') ?? true

  /**
   * Kills one service after the other under load, and starts each again. Answers how often each status came.
   */
  async function killInTurn(atATime: number): Promise<{ total: number; counts: Record<number, number> }> {
    const services = [await startService(), await startService()]
    const gateway = await startGateway(services)
    const traffic = load(`${gateway.url}/api/crm/contacts`, headers, atATime)
    const more = async (count: number) => {
      const before = traffic.outcomes.length
      await eventually(() => traffic.outcomes.length > before + count || undefined, 20_000)
    }
    try {
      await more(200)
      for (const victim of services) {
        await victim.kill()
        await more(200)
        await victim.start()
        await eventually(() => isUsed(gateway, victim) || undefined, 20_000)
        await more(200)
      }
    } finally {
      await traffic.stop()
      await Promise.all(services.map(({ kill }) => kill()))
      await gateway.stop()
    }
    return { total: traffic.outcomes.length, counts: traffic.counts() }
  }

  it('one of two, many requests at a time: no GET fails, and it is used again', async () => {
    const { total, counts } = await killInTurn(64)
    expect({ total, counts }).toEqual({ total, counts: { 200: total } })
    expect(total).toBeGreaterThan(1000)
  }, 60_000)

  it('the only one: 502 as long as it is away, never 503, and good again as soon as it is back', async () => {
    const only = await startService()
    const gateway = await startGateway([only])
    const traffic = load(`${gateway.url}/api/crm/contacts`, headers, 4)
    try {
      await eventually(() => traffic.outcomes.length > 100 || undefined)
      expect(traffic.counts()).toEqual({ 200: traffic.outcomes.length })
      const before = traffic.outcomes.length
      await only.kill()
      await eventually(() => (traffic.counts(before)[502] ?? 0) > 100 || undefined)
      expect(
        Object.keys(traffic.counts(before)).filter((status) => !['200', '502'].includes(status)),
      ).toEqual([])
      await only.start()
      const backAt = traffic.outcomes.length
      await eventually(() => (traffic.counts(backAt)[200] ?? 0) > 100 || undefined, 10_000)
      const good = traffic.outcomes.length
      await eventually(() => traffic.outcomes.length > good + 100 || undefined)
      expect(traffic.counts(good)).toEqual({ 200: traffic.outcomes.length - good })
    } finally {
      await traffic.stop()
      await only.kill()
      await gateway.stop()
    }
  }, 60_000)
})
