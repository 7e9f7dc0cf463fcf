import { auditActivityEndpoints } from './audit/activity.js'
import { auditChainEndpoints } from './audit/chain-endpoints.js'
import { checkpointKeys } from './audit/checkpoint.js'
import { auditEventEndpoints } from './audit/events.js'
import { verifyToken, verifyTokenOfAnyAge } from './authentication/verify-token.js'
import type { Denials } from './authorization/denials.js'
import { beginAsAdmin } from './authorization/still-admin.js'
import { explainEndpoints } from './authorization/explain-endpoints.js'
import { readShippedTexts } from './console/built-files.js'
import { openapiEndpoints } from './console/openapi-document.js'
import { directoryEndpoints } from './directory/endpoints.js'
import type { Dependencies } from './gateway.js'
import type { Endpoint } from './http/endpoint.js'
import { auditSpraying, checkPassword } from './login/check-password.js'
import { checkAssertions } from './login/client-assertion.js'
import { authenticateClient } from './login/client-authentication.js'
import { createDecoys } from './login/decoys.js'
import { limitFailedLogins } from './login/failed-logins.js'
import { firstAccessEndpoints, issueFirstAccess } from './login/first-access.js'
import { identityEndpoints } from './login/identities.js'
import { introspectionEndpoints } from './login/introspect.js'
import { issueTokens } from './login/issue-token.js'
import { loginEndpoints } from './login/login.js'
import { myselfEndpoints } from './login/myself.js'
import { passwordEndpoints } from './login/change-password.js'
import { createSuccession } from './login/refresh-token.js'
import { refreshTokens } from './login/refresh.js'
import { revocationEndpoints } from './login/revoke.js'
import { serviceCredentialEndpoints } from './login/service-credentials.js'
import { issueClientTokens } from './login/service-tokens.js'
import { sessionEndpoints } from './login/sessions.js'
import { setupEndpoints } from './login/setup.js'
import { signInFlows } from './login/sign-in-flow.js'
import { signInProviders } from './login/sign-in-provider.js'
import { signInEndpoints } from './login/sign-in.js'
import { tokenEndpoints } from './login/token-endpoint.js'
import { allOfThePortal } from './portal/endpoints.js'
import { portalPrefix, portalTexts, type TextsOf } from './portal/texts.js'
import { findPolicy } from './proxy/find-policy.js'
import { identityRolesEndpoints } from './proxy/identity-roles.js'
import { portalPlaces } from './proxy/portal-places.js'
import { verifyEndpoints } from './proxy/verify.js'
import { adminEndpoints } from './system/admins.js'
import { databaseEndpoints } from './system/database.js'
import { jwksEndpoints } from './system/jwks.js'
import { metricsEndpoints } from './system/metrics.js'
import { keyEndpoints } from './system/keys.js'
import { logEndpoints } from './system/logs.js'
import { nodeEndpoints } from './system/nodes.js'
import { operationsEndpoints } from './system/operations.js'
import { registryEndpoints } from './system/registry.js'
import { routeEndpoints } from './system/routes.js'
import { sessionRowEndpoints } from './system/session-rows.js'
import { keyed, shippedTexts } from './system/shipped-texts.js'
import { tokenRowEndpoints } from './system/tokens.js'
import { translationEndpoints } from './system/translations.js'

interface Own {
  denials: Denials
  textsOf: TextsOf
  /** Told of a member who enters, and whose profile the mandate does not see yet. */
  onFirstEntry: (membershipId: string) => void
}

/** Everything that the gateway answers itself; `openapi.yaml` is made of the same list. */
export function ownEndpoints({
  config,
  database,
  directory,
  keys,
  identityKeys,
  passwords,
  isDraining,
  node,
  scrape,
  audit,
  counts,
  log,
  routes,
  publicUrl,
  denials,
  textsOf,
  onFirstEntry,
}: Dependencies & Own): Endpoint[] {
  const credentials = checkPassword({
    sql: database,
    passwords,
    decoyOf: createDecoys({ sql: database, secret: config.SECRET_KEY ?? '' }),
    limitAttempts: limitFailedLogins(config.RATE_LIMIT_LOGIN, counts, auditSpraying(audit)),
    audit,
  })
  const issue = issueTokens({ database, coherent: node.coherent, keys, config })
  const refresh = refreshTokens({
    database,
    coherent: node.coherent,
    keys,
    succession: createSuccession(config),
    config,
  })
  const verifyOfAnyAge = (token: string) => verifyTokenOfAnyAge(token, keys)
  const signIn = {
    database,
    config,
    publicUrl,
    providers: signInProviders(config),
    flows: signInFlows(config),
    issueTokens: issue,
    verifyTokenOfAnyAge: verifyOfAnyAge,
  }
  const authenticate = authenticateClient({
    database,
    checkPassword: credentials,
    checkAssertion: checkAssertions({ database, publicUrl }),
  })
  const endpoints: Endpoint[] = [
    ...operationsEndpoints({
      sql: database,
      lease: node.lease,
      leaseMs: config.COHERENCE_LEASE_MS,
      isDraining,
    }),
    ...metricsEndpoints({ scrape, ownPort: config.METRICS_PORT }),
    ...openapiEndpoints(),
    ...jwksEndpoints({ keys: identityKeys }),
    ...identityRolesEndpoints({ keys: identityKeys, directory }),
    ...loginEndpoints({
      config,
      sql: database,
      coherent: node.coherent,
      checkPassword: credentials,
      issueTokens: issue,
      refresh,
      verifyTokenOfAnyAge: verifyOfAnyAge,
    }),
    ...tokenEndpoints({
      checkPassword: credentials,
      issueTokens: issue,
      refresh,
      authenticateClient: authenticate,
      issueClientToken: issueClientTokens({ database, keys, config }),
    }),
    ...introspectionEndpoints({
      database,
      directory,
      config,
      authenticateClient: authenticate,
      verifyToken: (token) => verifyToken(token, keys),
    }),
    ...serviceCredentialEndpoints({ database, coherent: node.coherent, rehearse: node.rehearse, keys }),
    ...signInEndpoints(signIn),
    ...identityEndpoints(signIn, { coherent: node.coherent, checkPassword: credentials }),
    ...firstAccessEndpoints({ sql: database, coherent: node.coherent, passwords }),
    ...setupEndpoints({ sql: database, coherent: node.coherent, passwords }),
    ...revocationEndpoints({ sql: database, coherent: node.coherent, verifyTokenOfAnyAge: verifyOfAnyAge }),
    ...sessionEndpoints({ config, sql: database, coherent: node.coherent }),
    ...passwordEndpoints({ sql: database, coherent: node.coherent, passwords, checkPassword: credentials }),
    ...myselfEndpoints({ sql: database }),
    ...verifyEndpoints(),
    ...directoryEndpoints({
      database,
      coherent: node.coherent,
      rehearse: node.rehearse,
      routeItems: () =>
        routes.current().table.routes.flatMap(({ permission }) => (permission ? [permission] : [])),
      issueFirstAccess: async (tx, userId, issuedBy) => {
        const { path, expiresAt } = await issueFirstAccess(tx, userId, issuedBy)
        return { url: publicUrl() + path, expiresAt }
      },
    }),
    ...auditEventEndpoints({ database }),
    ...auditActivityEndpoints({ database }),
    ...auditChainEndpoints({
      database,
      beginAsSysAdmin: (tx, req) => beginAsAdmin(tx, req.principal?.user, 'sysAdmin'),
      keys: () => checkpointKeys({ secret: config.SECRET_KEY, previousSecret: config.SECRET_KEY_PREVIOUS }),
    }),
    ...explainEndpoints({
      database,
      directory,
      denials,
      findPolicy: (method, path, host) =>
        findPolicy({ endpoints, table: routes.current().table }, method, path, host),
    }),
    ...tokenRowEndpoints({ sql: database, coherent: node.coherent, rehearse: node.rehearse }),
    ...sessionRowEndpoints({ sql: database, coherent: node.coherent, rehearse: node.rehearse }),
    ...adminEndpoints({ sql: database, coherent: node.coherent, rehearse: node.rehearse }),
    ...translationEndpoints({
      database,
      loadShipped: shippedTexts(keyed(portalPrefix, portalTexts), readShippedTexts),
    }),
    ...registryEndpoints({ sql: database, routes }),
    ...keyEndpoints({ sql: database, coherent: node.coherent, keys, identityKeys, config }),
    ...logEndpoints({ log }),
    ...databaseEndpoints({ database }),
    ...routeEndpoints({ routes }),
    ...nodeEndpoints({ sql: database, currentId: node.lease.nodeId }),
    ...allOfThePortal({
      config,
      database,
      directory,
      audit,
      publicUrl,
      coherent: node.coherent,
      textsOf,
      onFirstEntry,
      placesOf: (projectId, language) => portalPlaces(routes.current().table, projectId, language),
    }),
  ]
  return endpoints
}
