import type { Request } from 'express'
import { recordPlatformEntry } from '../audit/record-platform-entry.js'
import { authenticate } from '../authentication/authenticate.js'
import { currentClient } from '../authentication/current-client.js'
import { sealKeysOf } from '../authentication/portal-session.js'
import { verifyToken, verifyTokenOfAnyAge, type VerifiedClaims } from '../authentication/verify-token.js'
import {
  requirePermission,
  requirePlatformAdmin,
  requireSysAdmin,
  type GuardAudit,
} from '../authorization/guards.js'
import {
  decidingStepsOf,
  needsContext,
  stepsOf,
  type DecidingStep,
  type ProtectingStep,
} from '../authorization/steps.js'
import { requireMandatePolicy, requirePlacePolicy } from '../authorization/require-assurance.js'
import { resolveContext } from '../context/resolve-context.js'
import { limitByQuota } from '../directory/request-quota.js'
import { chain, type Middleware } from '../http/endpoint/chain.js'
import type { AdmissionOptions, Admit, Policy } from '../http/endpoint/policy.js'
import { refuseCrossSite, type CrossSitePolicy } from '../http/cross-site.js'
import { limitEntries } from '../http/limits/limit-entry.js'
import { limitByAddress, limitByUser } from '../http/limits/limit-rate.js'
import { refuseAmbiguousHeaders } from '../http/refuse-ambiguous-headers.js'
import { watch } from '../http/watch.js'
import type { Dependencies } from './dependencies.js'

interface Parts extends Dependencies {
  /** Called when a member enters a mandate that does not see their profile yet. */
  onFirstEntry: (membershipId: string) => void
}

/** What a decision leaves behind: notes, counts and audit events. */
interface Effects {
  verifyToken: (token: string) => Promise<VerifiedClaims>
  onApiToken?: (jti: string) => void
  onPlatformEntry: Parameters<typeof resolveContext>[0]['onPlatformEntry']
  audit: GuardAudit
  onUse: (sessionId: string, atMs: number) => void
}

type Deciders = Record<DecidingStep, (policy: Policy) => Middleware>

const pass: Middleware = (_req, _res, next) => next()

/** Creates the steps that decide: who is calling, where, and what they may do. */
function deciders(
  { config, directory, lastUses, onFirstEntry }: Parts,
  { verifyToken: verify, onApiToken, onPlatformEntry, audit, onUse }: Effects,
): Deciders {
  const atMs = (req: Request) => req.state.decidedAtMs
  const identify = authenticate({
    directory,
    verifyToken: verify,
    atMs,
    ...(onApiToken ? { onApiToken } : {}),
  })
  const identifyClient = currentClient({ directory, keys: sealKeysOf(config), atMs })
  const resolve = resolveContext({ directory, onPlatformEntry, onFirstEntry })
  const judging = { directory, lastUses, onUse }
  const byMandate = requireMandatePolicy(judging)
  const guards = { sysAdmin: requireSysAdmin(audit), platformAdmin: requirePlatformAdmin(audit) }
  return {
    authenticate: ({ auth }) => (auth === 'portal' ? identifyClient : identify(auth)),
    resolveContext: resolve,
    requireMandatePolicy: () => byMandate,
    requireGuard: ({ guard }) => (guard ? guards[guard] : pass),
    requirePermission: ({ permission }) => (permission ? requirePermission(permission) : pass),
    requirePlacePolicy: (policy) => requirePlacePolicy(policy, judging),
  }
}

/** Creates the steps that decide, without audit events and counts. */
const silentDeciders = (parts: Parts, verify: Effects['verifyToken']) =>
  deciders(parts, {
    verifyToken: verify,
    onPlatformEntry: () => undefined,
    audit: { record: () => undefined, recordRefusal: () => undefined },
    onUse: () => undefined,
  })

const decisionOf = (policy: Policy, make: Deciders) =>
  chain(...decidingStepsOf(policy).map((name) => make[name](policy)))

/**
 * Creates the decision once more, on the current state, for a request that has waited or still goes on. Its
 * first decision was counted and audited. A token that expires meanwhile does not end the request.
 */
function decideAgain(parts: Parts): (policy: Policy) => Middleware {
  const { streams } = parts.node
  const make = silentDeciders(parts, (token) => verifyTokenOfAnyAge(token, parts.keys))
  return (policy) => {
    const decide = decisionOf(policy, make)
    return (req, res, next) => {
      if (streams.isCurrent(req.state.decidedIn)) {
        next()
        return
      }
      req.state.decidedIn = streams.era()
      req.state.assuredUntilMs = Infinity
      return decide(req, res, next)
    }
  }
}

type Protect = (
  policy: Policy,
  crossSite: CrossSitePolicy,
  options: AdmissionOptions,
) => Middleware | Middleware[]

/** Creates the steps that protect the gateway. */
function protectors(parts: Parts): Record<ProtectingStep, Protect> {
  const { config, counts, node, database, logger } = parts
  const perAddress = limitByAddress(config.RATE_LIMIT_ADDRESS, config.RATE_LIMIT_NETWORK, counts)
  const perEntry = limitEntries(config.RATE_LIMIT_ENTRY, counts)
  const userOf = (req: Request) => req.state.principal?.user.id ?? req.state.portalClient?.id
  const perUser = limitByUser(config.RATE_LIMIT_USER, userOf, counts)
  const withToken = refuseAmbiguousHeaders({ readsToken: true })
  const withoutToken = refuseAmbiguousHeaders({ readsToken: false })
  const sameSite = refuseCrossSite({
    ownOrigin: () => new URL(parts.publicUrl()).origin,
    allowedOrigins: config.CORS_ORIGINS,
  })
  const noteMoment: Middleware = (req, _res, next) => {
    req.state.decidedIn = node.streams.era()
    req.state.decidedAtMs = Date.now()
    next()
  }
  const withinQuota = limitByQuota({ sql: database, logger })
  return {
    limitAddress: () => perAddress,
    limitEntry: (_policy, _crossSite, { entry }) => (entry ? perEntry(entry) : []),
    refuseAmbiguousHeaders: ({ auth }) =>
      auth === 'required' || auth === 'optional' ? withToken : withoutToken,
    parseInputs: (_policy, _crossSite, { parse }) => parse ?? [],
    refuseCrossSite: ({ auth }, crossSite) =>
      sameSite(auth === 'portal' && crossSite === 'ambient' ? 'cookie' : crossSite),
    noteMoment: () => noteMoment,
    limitUser: (policy) => perUser.count(needsContext(policy)),
    countEntry: () => perUser.entered,
    limitQuota: () => withinQuota,
  }
}

/** Creates what admits requests: everything between the match of a request and its handler. */
export function admission(parts: Parts): Admit {
  const protect = protectors(parts)
  const verify = (token: string) => verifyToken(token, parts.keys)
  const decide = deciders(parts, {
    verifyToken: verify,
    onApiToken: parts.tokenUses.note,
    onPlatformEntry: recordPlatformEntry(parts.audit),
    audit: parts.audit,
    onUse: (sessionId, atMs) => parts.lastUses.note(sessionId, atMs),
  })
  const watching = silentDeciders(parts, verify)
  const again = decideAgain(parts)
  return (policy, crossSite, options = {}) => {
    const asked = stepsOf(policy, options)
    const make = (step: (typeof asked)[number], deciding: Deciders) =>
      step.decides ? deciding[step.name](policy) : protect[step.name](policy, crossSite, options)
    if (policy.decide !== 'watch')
      return {
        steps: asked.flatMap((step) => make(step, decide)),
        ...(policy.auth === 'public' ? {} : { again: again(policy) }),
      }
    const when = (watched: 'enforced' | 'noted') =>
      asked.filter((step) => step.watched === watched).flatMap((step) => make(step, watching))
    return { steps: [...when('enforced'), watch(chain(...when('noted')))] }
  }
}
