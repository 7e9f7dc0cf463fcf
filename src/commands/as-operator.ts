import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import type { Actor } from '../audit/record-change.js'
import type { Coherence, CommitAndAwaitNodes, PerformDryRun } from '../coherence/commit-and-await-nodes.js'
import { systemClock } from '../coherence/node.js'
import { createWriter } from '../coherence/writer.js'
import { loadConfig, type Config } from '../config.js'
import { connectDatabase, type Database } from '../database/connect.js'
import { withMigrator } from '../database/migrate.js'
import { withDevelopmentSecrets } from '../process/development-secrets.js'
import { operatorScope, type OperatorScope } from '../directory/scope.js'
import type { CommandResult } from './routes-command.js'
import { failed } from './command-result.js'
import { useDatabase } from './use-database.js'

/** What a command line has that changes what decisions depend on. */
export interface Operator {
  config: Config
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
  scope: OperatorScope
  /** Brings the database to this version, as a start does. */
  migrate: () => Promise<unknown>
  /** Says in the audit that it was the command line, and who called it. */
  actor: Actor
}

/** Nodes may have been started with another one than this command: the default at least. */
const shortestLongestLeaseMs = 5000

/** The operating system's user, who need not have a name. */
function operatorName(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return `${process.getuid?.() ?? 'somebody'}@${hostname()}`
  }
}

/** Whoever calls the command line, as the audit names them. */
export const operatorActor = (): Actor => ({
  userId: null,
  requestId: `cli-${randomUUID()}`,
  operator: operatorName(),
})

/**
 * Runs `work` for whoever has the gateway's configuration, and so its database and secrets, as the login of
 * requests. `timeoutMs`: how long a statement may take, by default as long as a request's.
 */
export async function asOperator(
  work: (operator: Operator) => Promise<CommandResult>,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<CommandResult> {
  try {
    const { config } = await withDevelopmentSecrets(loadConfig())
    return await useDatabase(config, async ({ url, ownerUrl, setRole }) => {
      const database = connectDatabase({
        url,
        setRole,
        poolSize: 2,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      })
      try {
        const writer = createWriter({
          database,
          clock: systemClock,
          longestLeaseMs: Math.max(config.COHERENCE_LEASE_MS, shortestLongestLeaseMs),
        })
        const actor = operatorActor()
        const migrate = () => withMigrator(ownerUrl, (migrator) => migrator.up())
        return await work({
          config,
          database,
          ...writer,
          actor,
          scope: operatorScope({ database, ...writer }, actor),
          migrate,
        })
      } finally {
        await database.close()
      }
    })
  } catch (error) {
    return failed(error)
  }
}

/** That all nodes have heard of a change, in words. */
export function heard({ acked, fenced, waitedMs }: Coherence): string {
  const nodes = acked + fenced
  if (nodes === 0) return 'No node runs.'
  return `${nodes === 1 ? 'The one node that runs has' : `All ${nodes} nodes have`} forgotten the state before (${fenced === 0 ? '' : `${fenced} did not answer and may not act on what it remembers; `}waited ${waitedMs} ms).`
}
