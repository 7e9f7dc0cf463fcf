import { setTimeout as wait } from 'node:timers/promises'
import { acceptedAfter, isAccepted, tally, type Answer } from '../../faults/support/http.js'
import { probePath, revoke, type FaultNode } from '../../faults/support/nodes.js'
import { signToken, users } from '../../support/demo.js'
import { until } from '../../support/until.js'
import type { Server } from './servers.js'

/** What came of a round. */
export interface Outcome {
  /** Revocations that were answered with 2xx, and how the others were answered. */
  acknowledged: number
  revocations: Record<number, number>
  probes: number
  /** Probes that were let in although they began after the revocation was answered. */
  accepted: number
  /** Tokens that some node still lets in at the end of the round. */
  acceptedForGood: number
  /** Acknowledged revocations that the primary does not know of in the end. */
  lost: number
  /** How requests with a token that stays good were answered. */
  good: Record<number, number>
  /**
   * From the beginning of the event to the answer of the first acknowledged revocation that was sent when the
   * old primary could commit nothing more.
   */
  firstAfterMs: number | undefined
}

interface Login {
  token: string
  jti: string
}

/** Tokens of alice, many at once. */
export async function makeTokens(server: Server, howMany: number): Promise<Login[]> {
  const rows = await server.sql<{ jti: string; sid: string }>(
    `
    with made as (
        insert into sessions (user_id, authority)
        select $1::uuid, 'local'
        from generate_series(1, $2)
        returning id
      ),
         given as (
             insert into tokens (id, user_id, authority, session_id, expires_at)
             select gen_random_uuid(), $1, 'local', id, now() + interval '1 hour'
             from made
             returning id, session_id
           )
    select id as jti, session_id as sid from given`,
    [users.alice, howMany],
  )
  return await Promise.all(
    rows.map(async ({ jti, sid }) => ({ jti, token: await signToken('alice', jti, sid) })),
  )
}

const lanes = 3
/**
 * How long a round goes on, at least, once revocations are served again: what was revoked then is asked for.
 */
const servedMs = 2000

interface Round {
  nodes: FaultNode[]
  root: string
  /** Who the primary is in the end. */
  successor: () => Server
  before: Server
  /** What happens after a second. Calls back when the old primary can commit nothing more. */
  event: (onOut: () => void) => Promise<void>
  /** How long after. */
  afterMs: number
}

/**
 * Revokes tokens at each node in turn and asks all nodes for them, while something happens to the database.
 */
export async function runRound({ nodes, root, before, successor, event, afterMs }: Round): Promise<Outcome> {
  const [still, ...logins] = (await makeTokens(before, 4000)) as [Login, ...Login[]]
  const revoked: ({ login: Login } & Answer)[] = []
  const outcomes: Answer[] = []
  const probes: Answer[] = []
  const good: Answer[] = []
  let [accepted, next, over] = [0, 0, false]

  const check = async (login: Login, answeredAt: number) => {
    const answers = await Promise.all(
      nodes.map((node) => node.ask(probePath, { token: login.token, timeoutMs: 15_000 })),
    )
    accepted += acceptedAfter(answers, answeredAt).length
    probes.push(...answers)
  }
  const revoking = Array.from({ length: lanes }, async (_, lane) => {
    while (!over && next < logins.length) {
      const login = logins[next++]!
      await Promise.all(nodes.map((node) => node.ask(probePath, { token: login.token, timeoutMs: 15_000 })))
      const taken = await revoke(nodes[(next + lane) % nodes.length]!, root, login.jti)
      outcomes.push(taken)
      if (!isAccepted(taken)) {
        await wait(20)
        continue
      }
      revoked.push({ login, ...taken })
      await check(login, taken.answeredAt)
    }
  })
  // What was revoked is asked for again and again: a node may remember it only now.
  const again = Array.from({ length: lanes }, async () => {
    while (!over) {
      const one = revoked[Math.floor(Math.random() * revoked.length)]
      if (one) await check(one.login, one.answeredAt)
      else await wait(20)
    }
  })
  const staying = nodes.map(async (node) => {
    while (!over) {
      good.push(await node.ask(probePath, { token: still.token, timeoutMs: 15_000 }))
      await wait(5)
    }
  })
  await wait(1000)
  const happenedAt = performance.now()
  let outAt = Infinity
  await event(() => {
    outAt = performance.now()
  })
  await wait(afterMs)
  const firstAfter = () =>
    Math.min(...revoked.filter(({ startedAt }) => startedAt > outAt).map(({ answeredAt }) => answeredAt))
  // Until writers are served again: the first after a failover waits out the leases of before.
  await until(() => Promise.resolve(Number.isFinite(firstAfter())), 30_000).catch(() => undefined)
  if (Number.isFinite(firstAfter())) await wait(Math.max(0, firstAfter() + servedMs - performance.now()))
  over = true
  await Promise.all([...revoking, ...again, ...staying])

  const lasting = await Promise.all(
    revoked.map(async ({ login }) =>
      (await Promise.all(nodes.map((node) => node.ask(probePath, { token: login.token })))).some(isAccepted),
    ),
  )
  const known = await successor().sql<{ id: string }>(`select id from tokens where status = 'revoked'`)
  const ids = new Set(known.map(({ id }) => id))
  const firstAt = firstAfter()
  return {
    acknowledged: revoked.length,
    revocations: tally(outcomes),
    probes: probes.length,
    accepted,
    acceptedForGood: lasting.filter(Boolean).length,
    lost: revoked.filter(({ login }) => !ids.has(login.jti)).length,
    good: tally(good),
    firstAfterMs: Number.isFinite(firstAt) ? Math.round(firstAt - happenedAt) : undefined,
  }
}
