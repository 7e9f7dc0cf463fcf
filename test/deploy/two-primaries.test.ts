import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { startNodes, warmToken } from '../faults/support/nodes.js'
import { runRound } from '../replication/support/load.js'
import { report } from '../replication/support/mode.js'
import { startPair, type Pair, type Server } from '../replication/support/servers.js'
import type { TestDatabase } from '../support/database.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { startDatabaseHaproxy } from '../support/haproxy.js'
import { startPgbouncer } from '../support/pgbouncer.js'
import { until } from '../support/until.js'

/**
 * One address in front of both servers. New sessions lead to the primary; those of before stay where they
 * are.
 */
interface Front {
  port: number
  /** The server is the primary from now on, as far as the front is told. */
  follow: (server: Server) => Promise<void>
  stop: () => Promise<void>
}

const leaseMs = 1000

/**
 * PgBouncer in session mode: whoever does the failover changes the address and has the configuration read
 * again.
 */
async function behindPgbouncer(pair: Pair): Promise<Front> {
  const pooler = await startPgbouncer(
    [pair.url(pair.primary.port, 'postgres'), pair.url(pair.primary.port)],
    { mode: 'session', sessions: 200 },
  )
  return {
    port: Number(new URL(pooler.through(pair.url(pair.primary.port))).port),
    follow: (server) => pooler.lead(pair.url(server.port)),
    stop: pooler.stop,
  }
}

/** Says by HTTP whether its server is the primary, as the agents of Patroni and others do. */
async function startAgent(isPrimary: () => boolean) {
  const agent = http
    .createServer((_req, res) => res.writeHead(isPrimary() ? 200 : 503).end())
    .listen(0, '127.0.0.1')
  await once(agent, 'listening')
  return {
    port: (agent.address() as AddressInfo).port,
    stop: () => {
      agent.close().closeAllConnections()
    },
  }
}

/**
 * HAProxy, which asks the agent of each server whether it is the primary, and does not shut sessions down
 * when it is not any more.
 */
async function behindHaproxy({ primary, standby }: Pair): Promise<Front> {
  let current = primary
  const servers = await Promise.all(
    [primary, standby].map(async (server) => ({ server, agent: await startAgent(() => server === current) })),
  )
  const proxy = await startDatabaseHaproxy(
    servers.map(({ server, agent }) => ({ port: server.port, checkPort: agent.port })),
  )
  return {
    port: Number(new URL(proxy.url).port),
    follow: (server) => {
      current = server
      return Promise.resolve()
    },
    stop: async () => {
      await proxy.stop()
      for (const { agent } of servers) agent.stop()
    },
  }
}

/** The gateway's sessions at a server. */
async function sessionsAt(server: Server): Promise<number[]> {
  const rows = await server.sql<{ pid: number }>(
    `select pid from pg_stat_activity where application_name like 'mandate-gateway%'`,
  )
  return rows.map(({ pid }) => pid)
}

/** A session of somebody else's through the front, which stays open. */
async function openSession(url: string) {
  const client = new pg.Client(url)
  client.on('error', () => undefined)
  await client.connect()
  const serverPort = async () =>
    (await client.query<{ port: number }>('select inet_server_port() as port')).rows[0]?.port
  return { serverPort, end: () => client.end() }
}

/** Where a new session leads to. */
async function leadsTo(url: string): Promise<number | undefined> {
  const session = await openSession(url).catch(() => undefined)
  const port = await session?.serverPort().catch(() => undefined)
  await session?.end()
  return port
}

describe('a primary with a synchronous standby, behind a proxy that leaves sessions with the old primary', () => {
  let pair: Pair
  beforeAll(async () => {
    pair = await startPair()
  }, 180_000)
  afterEach(cleanUpProcesses)
  afterAll(() => pair.close(), 60_000)

  it.each([
    ['PgBouncer in session mode', behindPgbouncer],
    ['HAProxy in TCP mode', behindHaproxy],
  ])(
    '%s: accepts nothing revoked, loses no answered revocation, and responds 401 to no good token',
    async (name, startFront) => {
      const front = await startFront(pair)
      const { primary: old, standby: successor } = pair
      const url = pair.url(front.port)
      const database: TestDatabase = {
        url,
        ownerUrl: pair.url(front.port, 'postgres'),
        sql: (statement, values) => old.sql(statement, values),
        drop: () => Promise.resolve(),
      }
      const cluster = await startNodes(database, {
        leases: [leaseMs, leaseMs, leaseMs],
        environment: { LOG_LEVEL: 'warn' },
      })
      const stranger = await openSession(url)
      expect(await stranger.serverPort()).toBe(old.port)
      try {
        const { token: root } = await warmToken(database, cluster.nodes, 'root')
        let stayed: number[] = []
        const event = async (onOut: () => void) => {
          const before = await sessionsAt(old)
          await successor.promote()
          onOut()
          await front.follow(successor)
          await until(async () => (await leadsTo(url)) === successor.port, 10_000)
          const after = new Set(await sessionsAt(old))
          stayed = before.filter((pid) => after.has(pid))
        }
        const outcome = await runRound({
          nodes: cluster.nodes,
          root,
          before: old,
          successor: () => successor,
          event,
          afterMs: 4000,
        })
        report(name, { ...outcome, stayed: stayed.length })
        expect(stayed.length).toBeGreaterThan(0)
        expect(await stranger.serverPort()).toBe(old.port) // the proxy has cut nothing to this day
        expect((await sessionsAt(successor)).length).toBeGreaterThan(0)
        expect(outcome).toMatchObject({
          accepted: 0,
          acceptedForGood: 0,
          lost: 0,
          firstAfterMs: expect.any(Number),
        })
        expect(outcome.acknowledged).toBeGreaterThan(0)
        expect(Object.keys(outcome.good).filter((status) => status !== '200' && status !== '503')).toEqual([])
      } finally {
        await stranger.end()
        await cluster.close()
        await cleanUpProcesses()
        await front.stop()
        await successor.promote().catch(() => undefined) // a test that failed may not have come so far
        await pair.rebuild()
      }
    },
    180_000,
  )
})
