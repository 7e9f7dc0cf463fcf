import type { AuditLog } from '../audit/audit-log.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { LastUses } from '../authorization/last-uses.js'
import type { Directory } from '../coherence/directory.js'
import type { Node } from '../coherence/node.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import type { Counts } from '../http/limits/counts.js'
import type { Load } from '../http/limits/load.js'
import type { Passwords } from '../login/password.js'
import type { Outbox } from '../messages/outbox.js'
import type { TokenUses } from '../oauth/token-uses.js'
import type { LogRequest } from '../observability/access-line.js'
import type { Log, Logger } from '../observability/logger.js'
import type { Metrics, Scrape } from '../observability/metrics.js'
import type { Tracing } from '../observability/tracing.js'
import type { Usage } from '../observability/usage.js'
import type { IdentityKeys } from '../proxy/identity-keys.js'
import type { LiveRoutes } from '../proxy/live-routes.js'

/** The parts of a gateway. */
export interface Dependencies {
  config: Config
  /** The base of links, and the gateway's own `Origin`. It is known once the server listens. */
  publicUrl: () => string
  database: Database
  directory: Directory
  /** This process as a node: its lease, its memory, and the way to write what decisions depend on. */
  node: Pick<Node, 'lease' | 'commitAndAwaitNodes' | 'performDryRun' | 'streams'>
  keys: TokenKeys
  identityKeys: Pick<IdentityKeys, 'signing' | 'jwks' | 'list' | 'rotate' | 'refresh'>
  passwords: Passwords
  /** Where changes write the messages that report them. */
  outbox: Outbox
  tokenUses: TokenUses
  lastUses: LastUses
  /** The counters of limits. */
  counts: Counts
  audit: AuditLog
  logger: Logger
  logRequest: LogRequest
  /** The log, as SysAdmins read it and set its level. */
  log: Log
  metrics: Pick<Metrics, 'requests'>
  /** Refuses requests under overload. */
  load: Pick<Load, 'refuse'>
  /** The exporter of spans. */
  tracing: Pick<Tracing, 'begin'> | undefined
  usage: Pick<Usage, 'count'>
  /** All metrics, in Prometheus's format. */
  scrape: Scrape
  routes: LiveRoutes
  isDraining: () => boolean
}
