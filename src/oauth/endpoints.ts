import type { TokenKeys } from '../authentication/token-keys.js'
import { verifyToken } from '../authentication/verify-token.js'
import type { Directory } from '../coherence/directory.js'
import type { Config } from '../config.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import type { LoginServices } from '../login/login-services.js'
import { checkAssertions } from './client-assertion.js'
import { authenticateClient } from './client-authentication.js'
import { introspectionEndpoints } from './introspection-endpoints.js'
import { revocationEndpoints } from './revocation-endpoints.js'
import { serviceAccountEndpoints } from './service-accounts-endpoints.js'
import { serviceCredentialEndpoints } from './service-credentials-endpoints.js'
import { issueClientTokens } from './service-tokens.js'
import { tokenEndpoints } from './token-endpoints.js'

type Dependencies = LoginServices &
  Parameters<typeof serviceAccountEndpoints>[0] & {
    config: Config
    directory: Directory
    keys: TokenKeys
    publicUrl: () => string
  }

/** The endpoints of programs, in groups. The caller sets the order in `openapi.yaml`. */
export interface OauthEndpoints {
  /** Token endpoint (RFC 6749), introspection (RFC 7662) and credentials of service accounts. */
  tokens: Endpoint[]
  /** Token revocation (RFC 7009). */
  revocation: Endpoint[]
  serviceAccounts: Endpoint[]
}

/** Returns the endpoints of programs. */
export function oauthEndpoints(deps: Dependencies): OauthEndpoints {
  const { config, database, directory, keys, publicUrl } = deps
  const authenticate = authenticateClient({
    database,
    checkPassword: deps.checkPassword,
    checkAssertion: checkAssertions({ database, publicUrl }),
  })
  return {
    tokens: [
      ...tokenEndpoints({
        ...deps,
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
      ...serviceCredentialEndpoints(deps),
    ],
    revocation: revocationEndpoints({ ...deps, sql: database }),
    serviceAccounts: serviceAccountEndpoints(deps),
  }
}
