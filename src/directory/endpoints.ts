import type { Endpoint } from '../http/endpoint.js'
import { accessOverviewEndpoints } from './access-overview.js'
import { catalogEndpoints } from './catalog.js'
import { featureEndpoints } from './features.js'
import { instanceEndpoints } from './instances.js'
import { issuedEndpoints } from './issued.js'
import { mandateEndpoints } from './mandates.js'
import { accessEndpoints, memberEndpoints } from './members.js'
import { roleEndpoints } from './roles.js'
import { ruleEndpoints } from './rules.js'
import { subscriptionEndpoints } from './subscriptions.js'
import { usageEndpoints } from './usage.js'
import { serviceAccountEndpoints } from './service-accounts.js'
import { userSessionEndpoints } from './user-sessions.js'
import { userEndpoints } from './users.js'

/** Everything by which users, mandates and what they may do are governed. */
export function directoryEndpoints(
  governing: Parameters<typeof userEndpoints>[0] & Parameters<typeof catalogEndpoints>[0],
): Endpoint[] {
  return [
    ...userEndpoints(governing),
    ...serviceAccountEndpoints(governing),
    ...userSessionEndpoints(governing),
    ...issuedEndpoints(governing),
    ...mandateEndpoints(governing),
    ...memberEndpoints(governing),
    ...roleEndpoints(governing),
    ...ruleEndpoints(governing),
    ...featureEndpoints(governing),
    ...instanceEndpoints(governing),
    ...accessEndpoints(governing),
    ...accessOverviewEndpoints(governing),
    ...catalogEndpoints(governing),
    ...subscriptionEndpoints(governing),
    ...usageEndpoints(governing),
  ]
}
