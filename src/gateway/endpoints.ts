import { auditActivityEndpoints } from '../audit/activity-endpoints.js'
import { auditChainEndpoints } from '../audit/chain-endpoints.js'
import { checkpointKeys } from '../audit/checkpoint.js'
import { auditEventEndpoints } from '../audit/event-endpoints.js'
import { verifyToken, verifyTokenOfAnyAge } from '../authentication/verify-token.js'
import type { Denials } from '../authorization/denials.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import { explainEndpoints } from '../authorization/explain-endpoints.js'
import { openapiEndpoints } from '../console/openapi-endpoints.js'
import { directoryEndpoints } from '../directory/endpoints.js'
import type { Dependencies } from './chain.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import { auditSpraying, checkPassword } from '../login/check-password.js'
import { checkAssertions } from '../oauth/client-assertion.js'
import { authenticateClient } from '../oauth/client-authentication.js'
import { createDecoys } from '../login/decoys.js'
import { limitFailedLogins } from '../login/failed-logins.js'
import { firstAccessEndpoints, issueFirstAccess } from '../login/first-access-endpoints.js'
import { identityEndpoints } from '../login/identities-endpoints.js'
import { serviceAccountEndpoints } from '../oauth/service-accounts-endpoints.js'
import { introspectionEndpoints } from '../oauth/introspection-endpoints.js'
import { issueTokens } from '../login/issue-token.js'
import { loginEndpoints } from '../login/login-endpoints.js'
import { myselfEndpoints } from '../login/myself-endpoints.js'
import { passwordEndpoints } from '../login/password-endpoints.js'
import { createSuccession } from '../login/refresh-token.js'
import { refreshTokens } from '../login/refresh.js'
import { revocationEndpoints } from '../oauth/revocation-endpoints.js'
import { serviceCredentialEndpoints } from '../oauth/service-credentials-endpoints.js'
import { issueClientTokens } from '../oauth/service-tokens.js'
import { sessionEndpoints } from '../login/sessions-endpoints.js'
import { setupEndpoints } from '../login/setup-endpoints.js'
import { signInFlows } from '../login/sign-in-flow.js'
import { signInProviders } from '../login/sign-in-provider.js'
import { signInEndpoints } from '../login/sign-in-endpoints.js'
import { tokenEndpoints } from '../oauth/token-endpoints.js'
import { allOfThePortal } from '../portal/endpoints.js'
import type { TextsOf } from '../portal/texts.js'
import { findPolicy } from '../proxy/find-policy.js'
import { identityRolesEndpoints } from '../proxy/identity-roles-endpoints.js'
import { portalPlaces } from '../proxy/portal-places.js'
import { verifyEndpoints } from '../proxy/forward-auth-endpoints.js'
import { adminEndpoints } from '../system/admins-endpoints.js'
import { databaseEndpoints } from '../system/database-endpoints.js'
import { jwksEndpoints } from '../system/jwks-endpoints.js'
import { metricsEndpoints } from '../system/metrics-endpoints.js'
import { keyEndpoints } from '../system/keys-endpoints.js'
import { logEndpoints } from '../system/logs-endpoints.js'
import { nodeEndpoints } from '../system/nodes-endpoints.js'
import { operationsEndpoints } from '../system/operations-endpoints.js'
import { registryEndpoints } from '../system/registry-endpoints.js'
import { routeEndpoints } from '../system/routes-endpoints.js'
import { sessionRowEndpoints } from '../system/sessions-endpoints.js'
import { tokenRowEndpoints } from '../system/tokens-endpoints.js'
import { translationEndpoints } from '../system/translations-endpoints.js'

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
  const issue = issueTokens({ database, commitAndAwaitNodes: node.commitAndAwaitNodes, keys, config })
  const refresh = refreshTokens({
    database,
    commitAndAwaitNodes: node.commitAndAwaitNodes,
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
  const governing: Parameters<typeof directoryEndpoints>[0] = {
    database,
    commitAndAwaitNodes: node.commitAndAwaitNodes,
    performDryRun: node.performDryRun,
    routeItems: () =>
      routes.current().table.routes.flatMap(({ permission }) => (permission ? [permission] : [])),
    issueFirstAccess: async (tx, userId, issuedBy) => {
      const { path, expiresAt } = await issueFirstAccess(tx, userId, issuedBy)
      return { url: publicUrl() + path, expiresAt }
    },
  }
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
      commitAndAwaitNodes: node.commitAndAwaitNodes,
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
    ...serviceCredentialEndpoints({
      database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      performDryRun: node.performDryRun,
      keys,
    }),
    ...signInEndpoints(signIn),
    ...identityEndpoints(signIn, {
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      checkPassword: credentials,
    }),
    ...firstAccessEndpoints({ sql: database, commitAndAwaitNodes: node.commitAndAwaitNodes, passwords }),
    ...setupEndpoints({ sql: database, commitAndAwaitNodes: node.commitAndAwaitNodes, passwords }),
    ...revocationEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      verifyTokenOfAnyAge: verifyOfAnyAge,
    }),
    ...sessionEndpoints({ config, sql: database, commitAndAwaitNodes: node.commitAndAwaitNodes }),
    ...passwordEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      passwords,
      checkPassword: credentials,
    }),
    ...myselfEndpoints({ sql: database }),
    ...verifyEndpoints(),
    ...directoryEndpoints(governing),
    ...serviceAccountEndpoints(governing),
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
    ...tokenRowEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      performDryRun: node.performDryRun,
    }),
    ...sessionRowEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      performDryRun: node.performDryRun,
    }),
    ...adminEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      performDryRun: node.performDryRun,
    }),
    ...translationEndpoints({ database }),
    ...registryEndpoints({ sql: database, routes }),
    ...keyEndpoints({
      sql: database,
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      keys,
      identityKeys,
      config,
    }),
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
      commitAndAwaitNodes: node.commitAndAwaitNodes,
      textsOf,
      onFirstEntry,
      placesOf: (projectId, language) => portalPlaces(routes.current().table, projectId, language),
    }),
  ]
  return endpoints
}
