import { mkdtemp, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transformSync } from '@swc/core'
import { prune, register, renew } from '../../../src/coherence/lease-queries.js'
import type { BrokenSql } from './postgres.js'
import { production, type Production } from './production.js'
import type { schedules } from './schedules.js'

/**
 * Where a mutant differs: file of `src/coherence/`, or of `src/database/` with that folder's name before it,
 * a text that occurs there once, and what stands there instead.
 */
type Patch = readonly [file: string, text: string, instead: string]

/**
 * A rule of the protocol, broken: in the production code, or where the rule is SQL, in the simulated
 * Postgres.
 */
export interface Mutant {
  name: string
  /** The schedules in which it shows soon; any, if it does in any. */
  kind?: keyof typeof schedules | 'failovers' | 'splits'
  patches?: readonly Patch[]
  sql?: { broken: BrokenSql; kept: readonly (readonly [statement: string, clause: string])[] }
}

const joinWithoutLease: Patch = [
  'memory',
  'if (!holdsLease()) return send(name, load)',
  `if (!holdsLease()) {
        const older = joinable.get(name)
        return older ? join(older, name, load) : send(name, load)
      }`,
]
const givenToJoiners =
  'return holdsLease() && !isDetached(flight, loaded.keys) ? loaded.value : await send(name, load)'

export const mutants: readonly Mutant[] = [
  {
    name: 'lease counted from the reply',
    kind: 'slowRenewals',
    patches: [
      [
        'lease',
        `grantedFrom = changed ? applied.sentAt : sentAt
    applied = { snapshot: seen, sentAt }`,
        `grantedFrom = changed ? applied.sentAt : now()
    applied = { snapshot: seen, sentAt: now() }`,
      ],
    ],
  },
  {
    name: 'ack before the drop',
    patches: [
      ['lease', 'let seq = 0\n', 'let seq = 0\n  let owed: readonly string[] = []\n'],
      ['lease', 'else await drop(keys)\n', 'else { void drop(owed); owed = keys }\n'],
    ],
  },
  {
    name: 'stale fill kept',
    patches: [['memory', 'if (loaded.keep && !isDetached(flight, loaded.keys))', 'if (loaded.keep)']],
  },
  {
    name: 'joiner after the drop',
    patches: [
      [
        'memory',
        'const loaded = (await flight.loaded) as Loaded<Value>\n    return',
        'const before = new Set(flight.dropped)\n    const loaded = (await flight.loaded) as Loaded<Value>\n    return',
      ],
      [
        'memory',
        givenToJoiners,
        givenToJoiners.replace(
          '!isDetached(flight, loaded.keys)',
          '!flight.flushed && !loaded.keys.some((key) => flight.dropped.has(key) && !before.has(key))',
        ),
      ],
    ],
  },
  // The gateway has two guards: who has no lease does not join, and what was dropped is not given. Each holds
  // without the other.
  {
    name: 'old joiner served after the drop',
    kind: 'slowLoads',
    patches: [
      joinWithoutLease,
      [
        'memory',
        'const loaded = (await flight.loaded) as Loaded<Value>\n    return',
        'const before = new Set(flight.dropped)\n    const loaded = (await flight.loaded) as Loaded<Value>\n    return',
      ],
      [
        'memory',
        givenToJoiners,
        givenToJoiners.replace(
          '!isDetached(flight, loaded.keys)',
          '!loaded.keys.some((key) => before.has(key))',
        ),
      ],
    ],
  },
  {
    name: 'joiner served without a lease',
    kind: 'slowLoads',
    patches: [joinWithoutLease, ['memory', givenToJoiners, givenToJoiners.replace('holdsLease() && ', '')]],
  },
  {
    name: 'lease checked only at the end',
    kind: 'slowLoads',
    patches: [
      [
        'memory',
        'if (!holdsLease()) return send(name, load)\n      const entry = entries.get(name)',
        'const entry = entries.get(name)',
      ],
      [
        'memory',
        'hits += 1\n        return entry.value as Value',
        'return load().then(() => holdsLease() ? entry.value as Value : send(name, load))',
      ],
      [
        'memory',
        'const flight = joinable.get(name)',
        'if (!holdsLease()) return send(name, load)\n      const flight = joinable.get(name)',
      ],
    ],
  },
  {
    name: 'registration keeps loads',
    patches: [
      ['lease', 'see(reply.identity)\n    flush()', `see(reply.identity)\n    drop(['all but loads'])`],
      [
        'memory',
        `if (keys.includes('*')) flush()`,
        `if (keys.includes('*')) flush()\n      if (keys.includes('all but loads')) entries.clear()`,
      ],
    ],
  },
  {
    name: 'node list read before the commit',
    patches: [
      [
        'commit-and-await-nodes',
        'const awaitAcknowledgements = (epoch: string, identity: string) =>',
        'const awaitAcknowledgements = (epoch: string, identity: string, early: Set<string>) =>',
      ],
      ['commit-and-await-nodes', 'waitedFor: undefined, fenced: 0', 'waitedFor: early, fenced: 0'],
      [
        'commit-and-await-nodes',
        'const { result, xid, identity } = await',
        'const early = new Set((await listNodeRows(database.unconfirmed)).rows.map(({ id ' +
          '}) => id))\n    const { result, xid, identity } = await',
      ],
      [
        'commit-and-await-nodes',
        'await awaitAcknowledgements(xid, identity)',
        'await awaitAcknowledgements(xid, identity, early)',
      ],
    ],
  },
  {
    name: 'w0 taken before the commit',
    patches: [
      [
        'commit-and-await-nodes',
        'const awaitAcknowledgements = (epoch: string, identity: string) =>',
        'const awaitAcknowledgements = (epoch: string, identity: string, since: number) =>',
      ],
      ['commit-and-await-nodes', 'const since = clock.monotonic()', ''],
      [
        'commit-and-await-nodes',
        'const { result, xid, identity } = await',
        'const before = clock.monotonic()\n    const { result, xid, identity } = await',
      ],
      [
        'commit-and-await-nodes',
        'await awaitAcknowledgements(xid, identity)',
        'await awaitAcknowledgements(xid, identity, before)',
      ],
    ],
  },
  {
    name: 'changes read before the snapshot',
    sql: {
      broken: { changesBeforeSnapshot: true },
      kept: [
        [renew, 'pg_current_snapshot()::text as seen'],
        [
          renew,
          `with me as (
  update coherence.nodes set`,
        ],
        [renew, 'select key from coherence.changes where xid >= pg_snapshot_xmax($2::pg_snapshot)'],
      ],
    },
  },
  {
    name: 'high-water mark instead of a snapshot',
    patches: [['snapshot', 'return xid < xmax && !running.has(xid)', 'return xid < xmax']],
  },
  {
    name: 'high-water mark instead of a snapshot, in the renewal',
    sql: {
      broken: { highWaterMark: true },
      kept: [
        [
          renew,
          'union all\n  select key from coherence.changes where xid = any ' +
            '(array(select pg_snapshot_xip($2::pg_snapshot)))',
        ],
      ],
    },
  },
  {
    name: 'prune without flush',
    sql: {
      broken: { prunesWithoutFlush: true },
      kept: [
        [
          renew,
          'coalesce((select pruned > pg_snapshot_xmin($2::pg_snapshot) from coherence.horizon), true) as flush',
        ],
        [
          prune,
          'coalesce(min(pg_snapshot_xmin(acked)), pg_snapshot_xmin(pg_current_snapshot())) as xid from coherence.nodes',
        ],
        [prune, 'update coherence.horizon set pruned = oldest.xid'],
      ],
    },
  },
  {
    name: 'lease from this renewal though its ack is to come',
    kind: 'slowRenewals',
    patches: [['lease', 'grantedFrom = changed ? applied.sentAt : sentAt', 'grantedFrom = sentAt']],
  },
  {
    name: 'no order among renewals',
    sql: {
      broken: { noOrderAmongRenewals: true },
      kept: [[renew, 'seq = $3, renewed_at = now() where id = $1 and seq < $3']],
    },
  },
  {
    name: 'fenced node keeps its memory',
    patches: [
      ['lease', 'grantedFrom = never\n    flush()', 'grantedFrom = never'],
      ['lease', 'see(reply.identity)\n    flush()', 'see(reply.identity)'],
    ],
  },
  {
    name: 'no flush below the horizon',
    kind: 'lateRows',
    patches: [
      ['lease', 'if (isBehind) flush()\n    else await drop(keys)', 'await drop(keys)'],
      ['lease', 'const changed = isBehind || keys.length > 0', 'const changed = keys.length > 0'],
    ],
  },
  {
    name: 'registration takes over a live row',
    sql: {
      broken: { takesOverRows: true },
      kept: [
        [
          register,
          `
insert into coherence.nodes (id, lease_ms, address, process_id) values ($1, $2, $3, $4)
returning`,
        ],
      ],
    },
  },
  {
    name: 'the writer’s own lease length',
    patches: [
      [
        'commit-and-await-nodes',
        'node.leaseMs * (1 + clockDrift)',
        'Math.min(...nodes.map(({ leaseMs }) => leaseMs || Infinity)) * (1 + clockDrift)',
      ],
    ],
  },
  {
    name: 'repeat without a change row',
    kind: 'repetitions',
    patches: [
      [
        'node-queries',
        `insert into coherence.changes (key) values ('') returning xid::text as xid`,
        'select pg_current_xact_id()::text as xid',
      ],
    ],
  },
  // Not of the protocol's own list.
  {
    name: 'memory asked without a lease',
    patches: [['memory', 'if (!holdsLease()) return send(name, load)\n', '']],
  },
  {
    name: 'a suspended machine not noticed',
    kind: 'suspensions',
    patches: [['lease', 'if (passedOnTheWall - passed > suspectMs) return 0', '']],
  },
  {
    name: 'clocks trusted to tick alike',
    kind: 'driftingClocks',
    patches: [['lease', 'export const clockDrift = 0.01', 'export const clockDrift = 0']],
  },
  {
    name: 'a silent node taken off before its lease has ended',
    kind: 'silences',
    patches: [
      ['sweep-nodes', 'const leastSilenceMs = 10_000', 'const leastSilenceMs = 0'],
      ['sweep-nodes', 'leaseMs * (1 + clockDrift)', 'leaseMs / 2'],
    ],
  },
  {
    name: 'acknowledgements of a lost history believed',
    kind: 'failovers',
    patches: [
      [
        'lease',
        'identity !== undefined && timelineOf(found) === timelineOf(identity) ? foreignLeasesEndAt : endOfAllLeases()',
        'timelineOf(found) === undefined ? 0 : foreignLeasesEndAt',
      ],
    ],
  },
  {
    name: 'nodes of a lost history forgotten',
    kind: 'failovers',
    patches: [
      [
        'lease',
        'if (identity !== undefined && timelineOf(identity) !== timelineOf(reply.identity)) {',
        'if (identity === reply.identity) {',
      ],
    ],
  },
  // Two primaries: one of each rule of docs/coherence.md. The first has two guards: each holds without the
  // other.
  {
    name: 'what one primary says believed under a lease of the other',
    kind: 'splits',
    patches: [
      [
        'database/confirmed',
        'history.see(identity)\n    if (lease.holds() && lease.identity() === identity) return',
        'if (lease.holds()) return',
      ],
    ],
  },
  {
    name: 'connections to the old primary kept',
    kind: 'splits',
    patches: [
      [
        'database/history',
        'lastSeen = now\n      for (const listener of listeners) listener(identity)',
        'lastSeen = now',
      ],
      ['database/history', 'for (const listener of listeners) listener(current)\n', ''],
    ],
  },
  {
    name: 'a commit that began before the read',
    kind: 'splits',
    patches: [
      [
        'database/confirmed',
        'running === undefined ? send() : (next ??=',
        'running !== undefined && sent ? sent : running === undefined ? send() : (next ??=',
      ],
      ['database/confirmed', 'const sent = commit()', 'sent = commit()'],
      [
        'database/confirmed',
        'let next: Ticket | undefined',
        'let next: Ticket | undefined\n  let sent: Ticket',
      ],
    ],
  },
  {
    name: 'a commit of the other primary',
    kind: 'splits',
    patches: [
      ['database/confirmed', 'if (confirmed !== identity) throw', 'if (confirmed === undefined) throw'],
      ['database/confirmed', 'history.see(confirmed)\n', ''],
      ['database/confirmed', 'history.see(identity)\n    if (lease', 'if (lease'],
    ],
  },
  {
    name: 'a read without a lease believed unconfirmed',
    kind: 'splits',
    patches: [
      [
        'database/confirmed',
        'else await believe(ended.identity, ticket)',
        'else if (!ticket) await believe(ended.identity, ticket)',
      ],
    ],
  },
  {
    name: 'a read in a transaction not confirmed',
    kind: 'splits',
    patches: [
      [
        'database/confirmed',
        'transaction: (work) => counting(() => pool.transact(work))',
        `transaction: async (work) => {
      const ended = await pool.transact(work)
      if ('refusal' in ended) throw ended.refusal
      return ended.result
    }`,
      ],
    ],
  },
  // A writer has two guards: the rows of nodes, which the standby had, and the time that a lease of before
  // may live.
  {
    name: 'leases that the old primary granted not waited for',
    kind: 'splits',
    patches: [
      [
        'commit-and-await-nodes',
        'node.leaseMs * (1 + clockDrift)',
        `(waiter.identity.includes('/1/') ? node.leaseMs : 0) * (1 + clockDrift)`,
      ],
      ['commit-and-await-nodes', 'notBefore: foreignLeasesEndAt(identity)', 'notBefore: 0'],
    ],
  },
  {
    name: 'dead nodes waited for',
    patches: [
      [
        'commit-and-await-nodes',
        'if (overdue && (await fenceNode(database.unconfirmed, id, waiter.epoch)))',
        'if (overdue && Date.now() === 0)',
      ],
    ],
  },
]

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Returns a pattern of the text that ignores how its lines are broken and indented. */
const patternOf = (text: string) =>
  new RegExp(
    text
      .split(/\s+/)
      .map((word) => word.replace(/[^\w]/g, '\\$&'))
      .join('\\s+'),
    'g',
  )

/** Returns the source with the patches; each text must be there exactly once. */
function patched(file: string, source: string, patches: readonly Patch[]): string {
  return patches
    .filter(([patchedFile]) => patchedFile === file)
    .reduce((text, [, before, after]) => {
      if (text.match(patternOf(before))?.length !== 1)
        throw new Error(
          `src/coherence/${file}.ts does not hold this text once, so that the mutant cannot be made: ${before}`,
        )
      return text.replace(patternOf(before), () => after)
    }, source)
}

function compile(source: string): string {
  return transformSync(source, {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'es6' },
  }).code
}

/** Compiles the production code with the mutant's patches to a folder of its own and loads it. */
export async function loadMutant({ patches = [] }: Mutant): Promise<Production> {
  if (patches.length === 0) return production
  const folder = await mkdtemp(path.join(tmpdir(), 'mutant-'))
  try {
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
    for (const shared of ['node_modules', 'locales'])
      await symlink(path.join(root, shared), path.join(folder, shared))
    const copy = path.join(folder, 'src')
    for (const room of ['coherence', 'database', 'domain'])
      await mkdir(path.join(copy, room), { recursive: true })
    const domain = (await readdir(path.join(root, 'src/domain'))).map((file) => `domain/${file}`)
    for (const file of ['errors.ts', ...domain])
      await writeFile(
        path.join(copy, file.replace(/\.ts$/, '.js')),
        compile(await readFile(path.join(root, 'src', file), 'utf8')),
      )
    const files = [
      ...(await readdir(path.join(root, 'src/coherence'))).map((file) => file.replace(/\.ts$/, '')),
      ...['confirmed', 'history', 'commit-connection', 'connections', 'own-connection'].map(
        (file) => `database/${file}`,
      ),
    ]
    const unknown = patches.find(([file]) => !files.includes(file))
    if (unknown) throw new Error(`there is no ${unknown[0]} to make a mutant of`)
    for (const file of files) {
      const place = file.includes('/') ? file : `coherence/${file}`
      const source = await readFile(path.join(root, 'src', `${place}.ts`), 'utf8')
      await writeFile(path.join(copy, `${place}.js`), compile(patched(file, source, patches)))
    }
    const together = path.join(copy, 'coherence', 'together.js')
    await writeFile(
      together,
      `export * from './commit-and-await-nodes.js'\n` +
        `export * from '../database/confirmed.js'\n` +
        `export * from '../database/history.js'\n` +
        `export * from './lease.js'\n` +
        `export * from './memory.js'\n` +
        `export * from './sweep-nodes.js'\n`,
    )
    return (await import(pathToFileURL(together).href)) as Production
  } finally {
    await rm(folder, { recursive: true })
  }
}
