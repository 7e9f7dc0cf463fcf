import type { TestDatabase } from '../../support/database.js'
import { tokenFor } from '../../support/demo.js'
import { testSecret } from '../../support/gateway.js'
import { makeDataDir, startGatewayProcess, type GatewayProcess } from '../../support/gateway-process.js'
import { until } from '../../support/until.js'
import { clientOf, type Answer, type Client } from './http.js'
import { startLine, type Line } from './line.js'

/** A gateway node in a process of its own, and the lines to its database. */
export interface FaultNode extends Client {
  url: string
  process: GatewayProcess
  leaseMs: number
  /** Between its request pool and Postgres; only where the nodes were asked for with lines. */
  pool: Line
  /** Between its lease and Postgres. */
  lease: Line
  /** SIGSTOP: the process does not run, its sockets live. */
  freeze: () => void
  thaw: () => void
  /** SIGKILL, and the end of it. */
  kill: () => Promise<void>
}

/** Nodes that share a database. */
export interface FaultNodes {
  nodes: FaultNode[]
  /** Starts one more. */
  add: (leaseMs: number) => Promise<FaultNode>
  /** Ends the lines and clients; the processes end with `cleanUpProcesses`. */
  close: () => Promise<void>
}

interface Options {
  leases?: number[]
  /** Put a line before each node's pool and lease. */
  wired?: boolean
  /** Variables beside those that a node needs. */
  environment?: Record<string, string>
}

const unwired: Line = new Proxy({} as Line, {
  get: () => {
    throw new Error('these nodes were started without lines')
  },
})

/** Starts real gateway processes on a database and waits until each holds a lease. */
export async function startNodes(
  database: TestDatabase,
  { leases = [1000, 1000, 1000], wired = false, environment = {} }: Options = {},
): Promise<FaultNodes> {
  const nodes: FaultNode[] = []
  const add = async (leaseMs: number) => {
    const [pool, lease] = wired
      ? [await startLine(database.url), await startLine(database.url)]
      : [unwired, unwired]
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: wired ? pool.url : database.url,
      DATABASE_DIRECT_URL: wired ? lease.url : database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: `${testSecret}-portal`,
      SEED_DEMO: 'true',
      LOG_LEVEL: 'error',
      COHERENCE_LEASE_MS: String(leaseMs),
      RATE_LIMIT_ADDRESS: 'off',
      RATE_LIMIT_USER: 'off',
      RATE_LIMIT_LOGIN: 'off',
      ...environment,
    })
    const [, url = ''] = await gateway.says(/is ready: (\S+)/)
    const node: FaultNode = {
      ...clientOf(url),
      url,
      process: gateway,
      leaseMs,
      pool,
      lease,
      freeze: () => {
        gateway.child.kill('SIGSTOP')
      },
      thaw: () => {
        gateway.child.kill('SIGCONT')
      },
      kill: async () => {
        gateway.child.kill('SIGKILL')
        await gateway.ended
      },
    }
    nodes.push(node)
    return node
  }
  await Promise.all(leases.map(add))
  nodes.sort((a, b) => leases.indexOf(a.leaseMs) - leases.indexOf(b.leaseMs))
  return {
    nodes,
    add,
    close: async () => {
      for (const node of nodes) {
        node.thaw()
        node.close()
        if (wired) await Promise.all([node.pool.stop(), node.lease.stop()])
      }
    },
  }
}

/** Where a login alone decides, from memory. */
export const probePath = '/auth/context'

/** Asks with a token until each of the nodes has let it in, so that each remembers it. */
export async function warm(nodes: FaultNode[], token: string, withinMs = 20_000): Promise<void> {
  await Promise.all(
    nodes.map((node) =>
      until(async () => (await node.ask(probePath, { token })).status === 200 || undefined, withinMs),
    ),
  )
}

/** Revokes a token at a node. */
export const revoke = (node: FaultNode, root: string, jti: string) =>
  node.ask(`/system/tokens/${jti}`, { method: 'DELETE', token: root })

/** A token of a demo user that each of the nodes remembers. */
export async function warmToken(
  database: TestDatabase,
  nodes: FaultNode[],
  user: 'alice' | 'bob' | 'root' | 'petra' = 'alice',
) {
  const made = await tokenFor(database, user)
  await warm(nodes, made.token)
  return made
}

/** Asks nodes with a token again and again until it is stopped. */
export interface Hammer {
  answers: Answer[]
  stop: () => Promise<Answer[]>
}

/**
 * Starts to ask each node, one request after the other on each, each started `everyMs` after the last one at
 * the earliest, whether or not that has been answered.
 */
export function hammer(nodes: FaultNode[], token: string, everyMs = 5): Hammer {
  const answers: Answer[] = []
  const asked: Promise<void>[] = []
  const timer = setInterval(() => {
    for (const node of nodes)
      asked.push(
        node.ask(probePath, { token }).then((answer) => {
          answers.push(answer)
        }),
      )
  }, everyMs)
  return {
    answers,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(asked)
      return answers
    },
  }
}
