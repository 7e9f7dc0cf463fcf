import type { TokenKeys } from '../authentication/token-keys.js'
import type { Node } from '../coherence/node.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import type { Outbox } from '../messages/outbox.js'
import type { Log } from '../observability/logger.js'
import type { Scrape } from '../observability/metrics.js'
import type { IdentityKeys } from '../proxy/identity-keys.js'
import type { LiveRoutes } from '../proxy/live-routes.js'
import { areaPolicyEndpoints } from './area-policies-endpoints.js'
import { adminEndpoints } from './admins-endpoints.js'
import { databaseEndpoints } from './database-endpoints.js'
import { jwksEndpoints } from './jwks-endpoints.js'
import { keyEndpoints } from './keys-endpoints.js'
import { logEndpoints } from './logs-endpoints.js'
import { metricsEndpoints } from './metrics-endpoints.js'
import { nodeEndpoints } from './nodes-endpoints.js'
import { operationsEndpoints } from './operations-endpoints.js'
import { registryEndpoints } from './registry-endpoints.js'
import { routeEndpoints } from './routes-endpoints.js'
import { sessionRowEndpoints } from './sessions-endpoints.js'
import { tokenRowEndpoints } from './tokens-endpoints.js'
import { translationEndpoints } from './translations-endpoints.js'

interface Dependencies {
  config: Config
  database: Database
  outbox: Outbox
  node: Pick<Node, 'lease' | 'commitAndAwaitNodes' | 'performDryRun'>
  keys: TokenKeys
  identityKeys: Pick<IdentityKeys, 'jwks' | 'list' | 'rotate' | 'refresh'>
  log: Log
  scrape: Scrape
  routes: LiveRoutes
  isDraining: () => boolean
}

/** The endpoints for operating the gateway, in groups. The caller sets the order in `openapi.yaml`. */
export interface SystemEndpoints {
  /** Health, readiness and metrics. */
  operations: Endpoint[]
  /** The public keys of forwarded identities (RFC 7517). */
  keySet: Endpoint[]
  /** What SysAdmins see and change under /system. */
  administration: Endpoint[]
}

/** Returns the endpoints for operating the gateway. */
export function systemEndpoints(deps: Dependencies): SystemEndpoints {
  const { config, database, node, keys, identityKeys, log, routes } = deps
  const { commitAndAwaitNodes, performDryRun } = node
  const rows = { sql: database, commitAndAwaitNodes, performDryRun }
  return {
    operations: [
      ...operationsEndpoints({
        sql: database,
        lease: node.lease,
        leaseMs: config.COHERENCE_LEASE_MS,
        isDraining: deps.isDraining,
      }),
      ...metricsEndpoints({ scrape: deps.scrape, ownPort: config.METRICS_PORT }),
    ],
    keySet: jwksEndpoints({ keys: identityKeys }),
    administration: [
      ...tokenRowEndpoints(rows),
      ...sessionRowEndpoints(rows),
      ...adminEndpoints({ ...rows, outbox: deps.outbox }),
      ...areaPolicyEndpoints(rows),
      ...translationEndpoints({ database }),
      ...registryEndpoints({ sql: database, routes }),
      ...keyEndpoints({ ...rows, keys, identityKeys, config }),
      ...logEndpoints({ log }),
      ...databaseEndpoints({ database }),
      ...routeEndpoints({ routes }),
      ...nodeEndpoints({ sql: database, currentId: node.lease.nodeId }),
    ],
  }
}
