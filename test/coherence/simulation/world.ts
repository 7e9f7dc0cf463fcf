import { changeKeys, lookAtKeys } from './database.js'
import { Network } from './network.js'
import { SimulatedPostgres, type BrokenSql } from './postgres.js'
import { SimulatedProcess } from './process.js'
import { production, type Production } from './production.js'
import type { Counts, Deed, Schedule } from './schedule.js'
import { randomOf, Timeline } from './timeline.js'

/** The promise is broken. */
export class Violation extends Error {}

interface Write {
  name: string
  /** Versions of keys that every request which starts after the write returned must know. */
  versions: Map<string, number>
}

const timeoutMs = 600
const keyOf = (n: number) => `key ${n}`

/**
 * Lets a schedule happen in virtual time. Rejects with a `Violation` where the protocol's promise is broken.
 */
export async function simulate(
  schedule: Schedule,
  code: Production = production,
  broken: BrokenSql = {},
): Promise<Counts> {
  const { leaseMs: longestLeaseMs } = schedule.processes.reduce((a, b) => (a.leaseMs > b.leaseMs ? a : b))
  const timeline = new Timeline()
  const random = randomOf(schedule.seed)
  const postgres = new SimulatedPostgres(broken)
  let isLate = false
  const address = { server: postgres, pick: () => (isLate && random() < 0.5 ? postgres : address.server) }
  const network = new Network(timeline, random, schedule.weather)
  const counts: Counts = {
    events: 0,
    requests: 0,
    hits: 0,
    joins: 0,
    loads: 0,
    unanswered: 0,
    writes: 0,
    unknownWrites: 0,
    leasesLost: 0,
    unacknowledged: 0,
    lateCommits: 0,
    acknowledged: 0,
    fenced: 0,
    swept: 0,
    pruned: 0,
    behind: 0,
    givenUpRenewals: 0,
    rechecks: 0,
    transactions: 0,
    split: 0,
  }
  const history: string[] = []
  const note = (text: string) => {
    history.push(`${timeline.now.toFixed(1).padStart(8)} ${text}`)
  }
  let violation: Violation | undefined
  const violated = (what: string) => {
    violation ??= new Violation(`${what} at ${timeline.now.toFixed(3)} ms\n${history.slice(-80).join('\n')}`)
  }

  /** Versions that writes which have returned have made, or found. */
  const returned = new Map<string, number>()
  const writes = new Map<string, Write>()
  const waiting = new Set<Write>()
  /** Names of the writes that each process has begun. */
  const begun = new Map<SimulatedProcess, string[]>()
  let ids = 0
  let isOver = false

  const start = ({ leaseMs, rate }: Schedule['processes'][number]): SimulatedProcess =>
    new SimulatedProcess({
      code,
      timeline,
      network,
      address,
      leaseMs,
      rate,
      maxEntries: schedule.maxEntries,
      timeoutMs,
      newId: () => `node ${(ids += 1)}`,
      onVersion: (name, key, version) => {
        writes.get(name)?.versions.set(key, version)
      },
      onKept: () => {
        violated('a process keeps a connection to another history than the one it has seen')
      },
      onHint: () => {
        for (const process of processes)
          process.deliver(timeline.now + process.outOfReachMs() + network.delay('other'), () => {
            process.renewNow()
            return undefined
          })
      },
    })
  const processes: SimulatedProcess[] = []
  for (const one of schedule.processes) processes.push(start(one))

  /** The value of name `n` depends on two keys; it is their versions. */
  const keysOf = (n: number) => [...new Set([keyOf(n), keyOf((n + 1) % schedule.keys)])]

  const request = (process: SimulatedProcess, n: number, sentAt: number) => {
    const keys = keysOf(n)
    timeline.at(sentAt, () => {
      const known = keys.map((key) => returned.get(key) ?? 0)
      process.deliver(timeline.now, () => answer(process, n, keys, known))
      return false
    })
  }

  const answer = (process: SimulatedProcess, n: number, keys: string[], known: number[]): undefined => {
    counts.requests += 1
    if (address.server !== postgres) counts.split += 1
    let isOwn = false
    const check = (found: readonly number[], how: 'hits' | 'joins' | 'loads') => {
      counts[how] += 1
      const behind = keys.filter((_key, index) => found[index]! < known[index]!)
      if (behind.length > 0)
        violated(
          `an old value was answered (${how}) by process ${processes.indexOf(process)}: ${behind.join()}`,
        )
    }
    const load = async () => {
      isOwn = true
      const inTransaction = random() < 0.2
      if (inTransaction) counts.transactions += 1
      const value = await process.load(keys, inTransaction)
      return { value, keys, keep: random() > 0.03 }
    }
    const found = process.memory.read(`name ${n}`, load)
    if ('then' in found) {
      found.then(
        (value) => {
          check(value, isOwn ? 'loads' : 'joins')
        },
        () => {
          counts.unanswered += 1
        },
      )
    } else check(found, 'hits')
  }

  /** Requests for what a write has changed, to everybody: at once, and in the time after. */
  const probe = ({ versions }: Write) => {
    for (const process of processes) {
      for (let n = 0; n < schedule.keys; n += 1) {
        if (!keysOf(n).some((key) => versions.has(key))) continue
        request(process, n, timeline.now)
        request(process, n, timeline.now + random() * longestLeaseMs)
      }
    }
  }

  const write = async (process: SimulatedProcess, deed: Deed & { holdMs: number; keys: number[] }) => {
    const one: Write = { name: `write ${writes.size + 1}`, versions: new Map() }
    writes.set(one.name, one)
    begun.set(process, [...(begun.get(process) ?? []), one.name])
    counts.writes += 1
    const values = [one.name, ...new Set(deed.keys.map((n) => keyOf(n % schedule.keys)))]
    waiting.add(one)
    try {
      await process.commitAndAwaitNodes(async (tx) => {
        await tx.run(deed.what === 'repeat' ? lookAtKeys : changeKeys, values)
        await process.wait(deed.holdMs)
      })
      note(`${one.name} returned`)
      for (const [key, version] of one.versions) returned.set(key, Math.max(returned.get(key) ?? 0, version))
      if (!isOver) probe(one)
    } catch (error) {
      note(`${one.name} failed: ${String(error)}`)
      if (!(error instanceof Error) || error.message.includes('simulated Postgres')) throw error
      counts.unknownWrites += 1
    }
    waiting.delete(one)
  }

  const writeWithoutWaiting = (keys: number[], holdMs: number) => {
    const { server } = address
    const tx = server.begin()
    tx.changes.push(...keys.map((n) => keyOf(n % schedule.keys)))
    server.assignXid(tx)
    tx.onCommit.push(() => {
      for (const key of tx.changes) server.versions.set(key, (server.versions.get(key) ?? 0) + 1)
    })
    timeline.at(timeline.now + holdMs, () => {
      if (!server.isSucceeded) server.commit(tx)
      return false
    })
  }

  /** Its requests end with it; another process starts in its place. */
  const crash = (index: number) => {
    const process = processes[index]!
    process.die()
    for (const name of begun.get(process) ?? []) waiting.delete(writes.get(name)!)
    processes[index] = start(schedule.processes[index]!)
  }

  /**
   * New connections lead to either primary, later to the new one only; those of before stay where they are,
   * or are broken.
   */
  const split = (stay: number, lateMs: number) => {
    if (address.server !== postgres) return
    address.server = postgres.promoteStandby()
    isLate = true
    for (const [index, socket] of processes.flatMap(({ sockets }) => sockets).entries())
      if (((stay >> index) & 1) === 0) socket.break()
    timeline.at(timeline.now + lateMs, () => {
      isLate = false
      return undefined
    })
  }

  const act = (deed: Deed) => {
    const index = deed.process % processes.length
    const process = processes[index]!
    note(JSON.stringify(deed))
    switch (deed.what) {
      case 'write':
      case 'repeat':
        process.deliver(timeline.now, () => {
          write(process, deed).catch((error: unknown) => {
            violated(String(error))
          })
          return undefined
        })
        break
      case 'write without waiting':
        writeWithoutWaiting(deed.keys, deed.holdMs)
        break
      case 'stall':
        process.stall(deed.ms)
        break
      case 'suspend':
        process.suspend(deed.ms)
        break
      case 'cut off':
        process.cutOff(deed.ms)
        break
      case 'jump':
        process.jumpOnTheWall(deed.ms)
        break
      case 'sweep':
        process.deliver(timeline.now, () => {
          process.sweep().catch(() => undefined)
          return undefined
        })
        break
      case 'replicate':
        postgres.replicate()
        break
      case 'fail over':
        postgres.failOver()
        returned.clear() // what was lost is not promised any more; what is written from now on is
        for (const one of waiting) one.versions.clear()
        break
      case 'split':
        split(deed.stay, deed.ms)
        break
      case 'crash':
        crash(index)
    }
  }

  let lastDeedAt = 0
  for (const deed of schedule.deeds) {
    lastDeedAt += deed.afterMs
    timeline.at(lastDeedAt, () => {
      act(deed)
      return undefined
    })
  }
  const goOn = (index: number): false => {
    if (isOver) return false
    request(processes[index]!, Math.floor(random() * schedule.keys), timeline.now)
    timeline.at(timeline.now + random() * 2 * schedule.requestEveryMs, () => goOn(index))
    return false
  }
  const sweepOn = (index: number): false | undefined => {
    if (isOver) return false
    act({ what: 'sweep', process: index, afterMs: 0 })
    timeline.at(timeline.now + (0.5 + random()) * schedule.sweepEveryMs, () => sweepOn(index))
    return undefined
  }
  for (const index of processes.keys()) {
    timeline.at(random() * schedule.requestEveryMs, () => goOn(index))
    timeline.at(random() * schedule.sweepEveryMs, () => sweepOn(index))
  }

  const held = new Map<SimulatedProcess, string>()
  const look = () => {
    for (const [index, process] of processes.entries()) {
      if (process.memory.counts().entries > schedule.maxEntries)
        violated(`process ${index} remembers more than it may`)
      const id = process.lease.nodeId()
      if (process.lease.unacked() > 0) counts.unacknowledged += 1
      if (!process.isSuspended && process.lease.holds()) {
        // A standby that took over may have lost rows: writers then wait for leases that they cannot see.
        // While there are two, a lease may be of either.
        const has = (server: SimulatedPostgres) => id !== undefined && server.nodes.has(id)
        if (postgres.timeline === 1 && !has(postgres) && !has(address.server))
          violated(`process ${index} holds a lease without a row`)
        held.set(process, id ?? '')
      } else if (held.delete(process)) counts.leasesLost += 1
    }
  }

  const { longestMs } = schedule.weather
  const calmAt = lastDeedAt + 20
  const deadline =
    calmAt +
    4 * longestMs +
    3 * timeoutMs +
    1.1 * longestLeaseMs +
    1000 +
    Math.max(
      0,
      ...schedule.deeds.map((deed) => ('holdMs' in deed ? deed.holdMs : 'ms' in deed ? deed.ms : 0)),
    )
  timeline.at(calmAt, () => {
    network.isCalm = true
    return false
  })
  const answered = new Set<SimulatedProcess>()
  /** In the end each reads again, whichever primary its connections led to. */
  const readAgain = async (process: SimulatedProcess): Promise<void> => {
    while (!isOver && !answered.has(process)) {
      await process.load([keyOf(0)], false).then(
        () => {
          answered.add(process)
        },
        () => process.wait(20),
      )
    }
  }
  timeline.at(calmAt + longestMs, () => {
    for (const process of processes) void readAgain(process)
    return undefined
  })
  const isSettled = () =>
    timeline.now > calmAt + longestMs &&
    waiting.size === 0 &&
    processes.every((process) => answered.has(process) && (process.leaseMs === 0 || process.lease.holds()))

  while (!violation && !isSettled()) {
    await timeline.step()
    look()
    if (timeline.now > deadline)
      violated(
        waiting.size > 0
          ? `${[...waiting].map(({ name }) => name).join()} never returned`
          : 'a node did not get its lease again, or could not read',
      )
  }
  isOver = true
  for (const process of processes) process.die()
  if (violation) throw violation
  return { ...counts, ...postgres.counts, events: timeline.happened }
}
