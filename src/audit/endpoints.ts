import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import { auditActivityEndpoints } from './activity-endpoints.js'
import { auditChainEndpoints } from './chain-endpoints.js'
import { checkpointKeys } from './checkpoint.js'
import { auditEventEndpoints } from './event-endpoints.js'

interface Dependencies {
  database: Database
  config: Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
  beginAsSysAdmin: Parameters<typeof auditChainEndpoints>[0]['beginAsSysAdmin']
}

/** Returns the endpoints that read the audit, verify its chain and erase persons in it. */
export function auditEndpoints({ database, config, beginAsSysAdmin }: Dependencies): Endpoint[] {
  return [
    ...auditEventEndpoints({ database }),
    ...auditActivityEndpoints({ database }),
    ...auditChainEndpoints({
      database,
      beginAsSysAdmin,
      keys: () => checkpointKeys({ secret: config.SECRET_KEY, previousSecret: config.SECRET_KEY_PREVIOUS }),
    }),
  ]
}
