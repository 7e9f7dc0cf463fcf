import { auditEndpoints } from '../audit/endpoints.js'
import { findCaller } from '../authentication/authenticate.js'
import { verifyToken } from '../authentication/verify-token.js'
import type { Denials } from '../authorization/denials.js'
import { explainEndpoints } from '../authorization/explain-endpoints.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import { openapiEndpoints } from '../console/openapi-endpoints.js'
import { directoryEndpoints } from '../directory/endpoints.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import { acceptanceEndpoints } from '../invitations/acceptance-endpoints.js'
import { invitationEndpoints } from '../invitations/invitations-endpoints.js'
import { loginEndpoints } from '../login/endpoints.js'
import { deliverFirstAccess } from '../login/deliver-first-access.js'
import { createLoginServices } from '../login/login-services.js'
import { messageEndpoints } from '../messages/messages-endpoints.js'
import { oauthEndpoints } from '../oauth/endpoints.js'
import { allOfThePortal } from '../portal/endpoints.js'
import type { TextsOf } from '../portal/texts.js'
import { findPolicy } from '../proxy/find-policy.js'
import { verifyEndpoints } from '../proxy/forward-auth-endpoints.js'
import { identityRolesEndpoints } from '../proxy/identity-roles-endpoints.js'
import { portalPlaces } from '../proxy/portal-places.js'
import { systemEndpoints } from '../system/endpoints.js'
import type { Dependencies } from './dependencies.js'

interface EndpointDependencies extends Dependencies {
  denials: Denials
  textsOf: TextsOf
  /** Called when a member enters a mandate that does not see their profile yet. */
  onFirstEntry: (membershipId: string) => void
}

type Governing = Parameters<typeof directoryEndpoints>[0]

/** Returns what the directory's endpoints use besides the database and the node. */
const directoryHooks = ({
  routes,
  publicUrl,
  outbox,
}: Dependencies): Pick<Governing, 'routeItems' | 'deliverFirstAccess'> => ({
  routeItems: () =>
    routes.current().table.routes.flatMap(({ permission }) => (permission ? [permission] : [])),
  deliverFirstAccess: async (tx, order) => {
    const { path, expiresAt, delivery } = await deliverFirstAccess(outbox, tx, order)
    const link = path === null ? null : publicUrl() + path
    return { url: link, link, expiresAt, delivery }
  },
})

/** Returns all endpoints of the gateway itself, in the order of `openapi.yaml`, which is generated from them. */
export function ownEndpoints(deps: EndpointDependencies): Endpoint[] {
  const { routes, node, identityKeys } = deps
  const writers = { commitAndAwaitNodes: node.commitAndAwaitNodes, performDryRun: node.performDryRun }
  const governing = { ...deps, ...writers, ...directoryHooks(deps) }
  const services = createLoginServices({ ...deps, ...writers })
  const system = systemEndpoints(deps)
  const whoIs = findCaller({ ...deps, verifyToken: (token) => verifyToken(token, deps.keys) })
  const login = loginEndpoints({ ...deps, ...writers, ...services, findCaller: whoIs })
  const oauth = oauthEndpoints({ ...governing, ...services })
  const endpoints: Endpoint[] = [
    ...system.operations,
    ...openapiEndpoints(),
    ...system.keySet,
    ...identityRolesEndpoints({ ...deps, keys: identityKeys }),
    ...login.login,
    ...oauth.tokens,
    ...login.signIn,
    ...oauth.revocation,
    ...login.account,
    ...verifyEndpoints(),
    ...directoryEndpoints(governing),
    ...invitationEndpoints(governing),
    ...acceptanceEndpoints({ ...deps, ...writers, findCaller: whoIs }),
    ...oauth.serviceAccounts,
    ...messageEndpoints({ sql: deps.database }),
    ...auditEndpoints({
      ...deps,
      beginAsSysAdmin: (tx, req) => beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin'),
    }),
    ...explainEndpoints({
      ...deps,
      findPolicy: (method, path, host) =>
        findPolicy({ endpoints, table: routes.current().table }, method, path, host),
    }),
    ...system.administration,
    ...allOfThePortal({
      ...deps,
      ...writers,
      placesOf: (projectId, language) => portalPlaces(routes.current().table, projectId, language),
    }),
  ]
  return endpoints
}
