import type { Request } from 'express'
import { authenticate } from '../authentication/authenticate.js'
import { currentClient } from '../authentication/current-client.js'
import { sealKeysOf } from '../authentication/portal-session.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import { verifyTokenOfAnyAge, type VerifiedClaims } from '../authentication/verify-token.js'
import { requirePermission, requirePlatformAdmin, requireSysAdmin } from '../authorization/guards.js'
import type { Directory } from '../coherence/directory.js'
import type { Streams } from '../coherence/streams.js'
import type { Config } from '../config.js'
import { resolveContext } from '../context/resolve-context.js'
import { chain, type Middleware } from '../http/endpoint/chain.js'
import type { Policy } from '../http/endpoint/policy.js'

interface Dependencies {
  config: Config
  directory: Directory
  keys: TokenKeys
  /**
   * Told of a member who enters, and whose profile the mandate does not see yet: also where it is decided
   * silently.
   */
  onFirstEntry: (membershipId: string) => void
}

const silent = { record: () => undefined, recordRefusal: () => undefined }

/** Returns what decides who, where and what of a policy, without counting or auditing it. */
export function decideSilently(
  { config, directory, onFirstEntry }: Omit<Dependencies, 'keys'>,
  verifyToken: (token: string) => Promise<VerifiedClaims>,
): (policy: Policy) => Middleware {
  const atMs = (req: Request) => req.decidedAtMs
  const identify = authenticate({ directory, verifyToken, atMs })
  const identifyClient = currentClient({ directory, keys: sealKeysOf(config), atMs })
  const place = resolveContext({ directory, onPlatformEntry: () => undefined, onFirstEntry })
  const guards = { sysAdmin: requireSysAdmin(silent), platformAdmin: requirePlatformAdmin(silent) }
  return (policy) =>
    chain(
      policy.auth === 'portal' ? identifyClient : identify(policy.auth),
      ...(policy.mandate !== 'none' || policy.instance !== 'none' ? [place(policy)] : []),
      ...(policy.guard ? [guards[policy.guard]] : []),
      ...(policy.permission ? [requirePermission(policy.permission)] : []),
    )
}

/**
 * The same decision once more, by what holds now, for a request that has waited or still goes on. Its use has
 * been counted and audited; a token that was good when the request came has not to last until its end.
 */
export function decideAgain(
  dependencies: Dependencies,
  streams: Pick<Streams, 'era' | 'isCurrent'>,
): (policy: Policy) => Middleware {
  const decider = decideSilently(dependencies, (token) => verifyTokenOfAnyAge(token, dependencies.keys))
  return (policy) => {
    const decide = decider(policy)
    return (req, res, next) => {
      if (streams.isCurrent(req.decidedIn)) {
        next()
        return
      }
      req.decidedIn = streams.era()
      return decide(req, res, next)
    }
  }
}
