import type { AuditLog } from '../audit/audit-log.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import { verifyTokenOfAnyAge, type VerifiedClaims } from '../authentication/verify-token.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import type { Counts } from '../http/limits/counts.js'
import { auditSpraying, checkPassword, type CheckPassword } from './check-password.js'
import { createSealing } from '../domain/sealing.js'
import type { Outbox } from '../messages/outbox.js'
import { createChallenges, type Challenges } from './factors/challenges.js'
import { createProveFactor, type FactorDependencies, type ProveFactor } from './factors/prove-factor.js'
import { requireSecondFactor, type RequireSecondFactor } from './factors/second-factor.js'
import { createStepUp, type StepUp } from './step-up.js'
import { createDecoys } from './decoys.js'
import { limitFailedLogins } from './failed-logins.js'
import { issueTokens, type IssuedTokens, type Login } from './issue-token.js'
import type { Passwords } from './password.js'
import { createSuccession } from './refresh-token.js'
import { refreshTokens, type Refresh } from './refresh.js'

interface Dependencies {
  config: Config
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  passwords: Passwords
  counts: Counts
  audit: AuditLog
  outbox: Outbox
  publicUrl: () => string
}

/** The use cases of signing in that several endpoints share. */
export interface LoginServices {
  checkPassword: CheckPassword
  issueTokens: (login: Login) => Promise<IssuedTokens>
  refresh: Refresh
  challenges: Challenges
  /** Seals the secrets of authenticator apps. */
  sealing: FactorDependencies['sealing']
  proveFactor: ProveFactor
  requireSecondFactor: RequireSecondFactor
  stepUp: StepUp
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

/** Returns the use cases of signing in. They share one count of failed logins. */
export function createLoginServices(deps: Dependencies): LoginServices {
  const { config, database, commitAndAwaitNodes, keys, passwords, counts, audit } = deps
  const challenges = createChallenges(config)
  const sealing = createSealing(config, 'authenticator apps')
  return {
    checkPassword: checkPassword({
      sql: database,
      passwords,
      decoyOf: createDecoys({ sql: database, secret: config.SECRET_KEY ?? '' }),
      limitAttempts: limitFailedLogins(config.RATE_LIMIT_LOGIN, counts, auditSpraying(audit)),
      audit,
    }),
    issueTokens: issueTokens({ database, commitAndAwaitNodes, keys, config }),
    refresh: refreshTokens({
      database,
      commitAndAwaitNodes,
      keys,
      succession: createSuccession(config),
      config,
    }),
    challenges,
    sealing,
    proveFactor: createProveFactor({ ...deps, sealing }),
    requireSecondFactor: requireSecondFactor({ ...deps, challenges }),
    stepUp: createStepUp(deps),
    verifyTokenOfAnyAge: (token) => verifyTokenOfAnyAge(token, keys),
  }
}
