import { createTestDatabase, type TestDatabase } from './database.js'
import { mandates, roles, tokenFor, users } from './demo.js'
import { directoryOf, type Newcomer } from './directory.js'
import { startTestGateway, type TestGateway } from './gateway.js'

/** A caller of a test's own: a member of `acme` as `viewer`, with a token and a session. */
export interface Caller extends Newcomer {
  jti: string
  sid: string
  membership: string
  headers: Record<string, string>
}

/** Two gateways with one database: what is let in here is taken away there. */
export interface TwoNodes {
  here: TestGateway
  there: TestGateway
  database: TestDatabase
  /** Makes a caller; without roles given, a `viewer`. */
  caller: (options?: { roles?: string[] }) => Promise<Caller>
  /** Asks the other node as a demo user; rejects where the answer is not good. */
  askThere: (user: 'root' | 'petra', method: string, path: string, body?: unknown) => Promise<void>
  /** Revokes a token at the other node. */
  revoke: (jti: string) => Promise<void>
  /** Answers when both nodes have heard of everything that has been committed by now. */
  allHaveHeard: () => Promise<void>
  stop: () => Promise<void>
}

/** Starts them, each with a memory and a lease of five seconds. */
export async function startTwoNodes(
  routes: string,
  environment: Record<string, string> = {},
): Promise<TwoNodes> {
  const database = await createTestDatabase()
  const start = () =>
    startTestGateway({ database, routes, environment: { COHERENCE_LEASE_MS: '5000', ...environment } })
  const [here, there] = [await start(), await start()]
  const directory = directoryOf(database)
  const tokens = {
    root: (await tokenFor(database, 'root')).token,
    petra: (await tokenFor(database, 'petra')).token,
  }
  const askThere: TwoNodes['askThere'] = async (user, method, path, body) => {
    const answer = await fetch(there.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${tokens[user]}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`)
    await answer.arrayBuffer()
  }
  const revoke = (jti: string) => askThere('root', 'DELETE', `/system/tokens/${jti}`)
  return {
    here,
    there,
    database,
    askThere,
    revoke,
    caller: async ({ roles: own = [roles.viewer] } = {}) => {
      const newcomer = await directory.user()
      const membership = await directory.join(newcomer.id, mandates.acme, { roles: own })
      const { token, jti, sid } = await tokenFor(database, 'alice', {
        claims: { sub: newcomer.username, userId: newcomer.id },
        row: { userId: newcomer.id },
      })
      return {
        ...newcomer,
        token,
        jti,
        sid,
        membership,
        headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme },
      }
    },
    allHaveHeard: async () => {
      await revoke((await tokenFor(database, 'erin', { row: { userId: users.erin } })).jti)
    },
    stop: async () => {
      await here.stop()
      await there.stop()
      await database.drop()
    },
  }
}
