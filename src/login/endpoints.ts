import type { Request } from 'express'
import type { Principal } from '../authentication/principal.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Database, Tx } from '../database/connect.js'
import { providerSettings } from '../domain/provider-settings.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import type { Counts } from '../http/limits/counts.js'
import type { Outbox } from '../messages/outbox.js'
import type { Logger } from '../observability/logger.js'
import { assuranceEndpoints } from './assurance-endpoints.js'
import type { AuditLog } from '../audit/audit-log.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { factorLoginEndpoints } from './factors/factor-login-endpoints.js'
import { factorEndpoints } from './factors/factors-endpoints.js'
import { listIdentities } from './identity-queries.js'
import { stepUpEndpoints } from './step-up-endpoints.js'
import { firstAccessEndpoints } from './first-access-endpoints.js'
import { identityEndpoints } from './identities-endpoints.js'
import { passwordLoginEndpoints } from './login-endpoints.js'
import type { LoginServices } from './login-services.js'
import { myselfEndpoints } from './myself-endpoints.js'
import { passwordEndpoints } from './password-endpoints.js'
import type { Passwords } from './password.js'
import { saveGlobalProviders } from './provider-queries.js'
import { emailEndpoints } from './recovery/email-endpoints.js'
import { takeForgotten } from './recovery/forgot.js'
import { resetEndpoints } from './recovery/reset-endpoints.js'
import { sessionEndpoints } from './sessions-endpoints.js'
import { setupEndpoints } from './setup-endpoints.js'
import { isSetUp } from './providers.js'
import { signInEndpoints } from './sign-in-endpoints.js'
import { signInFlows } from './sign-in-flow.js'
import { signInProviders } from './sign-in-provider.js'

interface Dependencies extends LoginServices {
  config: Config
  outbox: Outbox
  counts: Counts
  audit: AuditLog
  logger: Logger
  findCaller: (req: Request) => Promise<Principal | undefined>
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Passwords
  publicUrl: () => string
}

/** The endpoints of people who sign in and out, in groups. The caller sets the order in `openapi.yaml`. */
export interface LoginEndpoints {
  /** Login with a password, refresh and logout. */
  login: Endpoint[]
  /** Sign-in at other authorities, and the links for a first access and for the setup. */
  signIn: Endpoint[]
  /** The caller's own sessions, password and context. */
  account: Endpoint[]
}

/** Returns the endpoints of people who sign in and out. */
export function loginEndpoints(deps: Dependencies): LoginEndpoints {
  const { config, database } = deps
  const rows = { ...deps, sql: database }
  const signIn = {
    ...deps,
    providers: signInProviders(config),
    flows: signInFlows(config),
    saveProviders: (tx: Tx) => saveGlobalProviders(tx, providerSettings(config)),
  }
  const hasProvider = async (tx: CoherentTx, userId: string) =>
    (await listIdentities(tx, userId)).some((identity) => isSetUp(signIn.providers, identity))
  return {
    login: [...passwordLoginEndpoints(rows), ...factorLoginEndpoints(deps), ...stepUpEndpoints(deps)],
    signIn: [
      ...signInEndpoints(signIn),
      ...identityEndpoints(signIn, deps),
      ...firstAccessEndpoints(rows),
      ...setupEndpoints(rows),
      ...resetEndpoints({
        ...deps,
        takeForgotten: takeForgotten({ ...deps, limit: config.RATE_LIMIT_MAIL }),
      }),
      ...emailEndpoints(deps),
    ],
    account: [
      ...factorEndpoints({ ...deps, hasProvider }),
      ...sessionEndpoints(rows),
      ...passwordEndpoints(rows),
      ...assuranceEndpoints(rows),
      ...myselfEndpoints(rows),
    ],
  }
}
