import type { Level, Action, RuleContext } from '../domain/permissions.js'
import type { Directory, SessionState, User } from '../coherence/directory.js'
import type { RequestedPlace } from '../context/decide-placement.js'
import type { PrioritisedRule, RequestContext } from '../context/request-context.js'
import { enterPlace, type PlacePolicy } from '../context/resolve-context.js'
import { requirePlace } from '../context/requested-place.js'
import { GatewayError, type ErrorCode, statusOf } from '../errors.js'
import type { CompiledPolicy } from '../domain/assurance-policy.js'
import type { Policy } from '../http/endpoint/policy.js'
import { assuredSession, demandsOn, firstMissing, strictest, type SessionDemand } from './assurance.js'
import type { AssuranceScope, MissingAssurance } from './assurance-error.js'
import { insufficientAssurance } from './assurance-error.js'
import { levelGuards, permissionDenied } from './guards.js'
import { decide } from './permissions.js'
import { decidingStepsOf, type DecidingStep } from './steps.js'

/** The question: may this user do that in this mandate and instance. */
export interface Question {
  user: User & { enabled: boolean }
  place: RequestedPlace
  policy: PlacePolicy & Pick<Policy, 'auth' | 'guard' | 'decide' | 'assurance' | 'area' | 'judged'>
  subject?: { context: RuleContext; item: string | null; action: Action | undefined } | undefined
  /** The session by which the user would ask. Without one, no policy judges. */
  session?: SessionState | undefined
  /** The method, for the text of a refusal when it stands for no action. */
  method?: string | undefined
}

/** The decision about a question, and its reasons. */
export interface Explanation {
  allowed: boolean
  /** The response to a refused caller. */
  refusal: { status: number; code: ErrorCode; detail: string } | null
  /** The step that decided. */
  decidedBy: 'public' | 'account' | 'place' | 'guard' | 'sysadmin' | 'rules' | 'assurance' | 'nothing_asked'
  /** What a policy asks, where one decided. */
  policy: ExplainedPolicy | null
  roleIds: string[]
  level: Level | null
  /** Rules that decided, those that gave the level first. */
  deciding: PrioritisedRule[]
  /**
   * Rules about the item that did not count: of a lower priority, or less specific than another of their
   * role.
   */
  overruled: PrioritisedRule[]
}

/** What a policy asks of a session, and what the session lacks. */
export interface ExplainedPolicy {
  scope: AssuranceScope
  missing: MissingAssurance
  required: Required<SessionDemand>
}

const isAbout = (ruleItem: string | null, item: string | null) =>
  ruleItem === null || (item !== null && (item === ruleItem || item.startsWith(`${ruleItem}.`)))

/**
 * Decides as a request would be decided, by the same list of steps, and returns the reasons. Rejects with
 * `directory_unavailable` only.
 */
export async function explainAccess(
  question: Question,
  directory: Pick<Directory, 'placement' | 'rules' | 'areaPolicy'>,
): Promise<Explanation> {
  const explanation: Explanation = {
    allowed: false,
    refusal: null,
    decidedBy: 'public',
    policy: null,
    roleIds: [],
    level: null,
    deciding: [],
    overruled: [],
  }
  try {
    const state: Explaining = { question, directory, explanation }
    const { policy, subject } = question
    const asked = policy.auth === 'public' ? [] : decidingStepsOf({ ...policy, permission: subject })
    for (const step of asked) await explainers[step](state)
    explanation.allowed = true
  } catch (error) {
    if (!(error instanceof GatewayError) || statusOf(error.code) >= 500) throw error
    explanation.refusal = { status: statusOf(error.code), code: error.code, detail: error.detail }
  }
  return explanation
}

/** The state of an explanation between two steps. */
interface Explaining {
  question: Question
  directory: Pick<Directory, 'placement' | 'rules' | 'areaPolicy'>
  explanation: Explanation
  /** The context, once its step has run. */
  context?: RequestContext
}

/** How each deciding step decides a question. A refusal is thrown, as for a request. */
const explainers: Record<DecidingStep, (state: Explaining) => void | Promise<void>> = {
  authenticate: ({ question: { user }, explanation }) => {
    explanation.decidedBy = 'account'
    if (!user.enabled) throw new GatewayError('user_disabled', 'User is disabled')
    explanation.decidedBy = 'nothing_asked'
  },
  resolveContext: async (state) => {
    const { question, directory, explanation } = state
    explanation.decidedBy = 'place'
    requirePlace(question.policy, question.place)
    state.context = await enterPlace(question.user, question.place, directory)
    explanation.roleIds = state.context.roleIds
    explanation.decidedBy = 'nothing_asked'
  },
  requireMandatePolicy: (state) => explainDemand(state, 'mandate', state.context?.entry.policy),
  requireGuard: ({ question: { user, policy }, explanation }) => {
    if (!policy.guard) return
    explanation.decidedBy = 'guard'
    const { holds, code, refusal } = levelGuards[policy.guard]
    if (!holds(user)) throw new GatewayError(code, refusal)
  },
  requirePermission: explainPermission,
  requirePlacePolicy: async (state) => {
    const { question, directory, context } = state
    const { subject, policy } = question
    if (context?.entry.policy && subject) explainItems(state, context.entry.policy, subject)
    explainDemand(state, 'route', policy.assurance)
    if (policy.area) explainDemand(state, policy.area, await directory.areaPolicy(policy.area))
  },
}

/** Judges the session of the question by a demand; throws the refusal, and notes the policy that decided. */
function explainDemand(
  { question: { session }, explanation }: Explaining,
  scope: AssuranceScope,
  demand: SessionDemand | undefined,
): void {
  if (!session || !demand) return
  const nowMs = Date.now()
  // a session of which a token is not named has its last one, which was issued after each proof
  const missing = firstMissing(demand, assuredSession({ session, issuedAtMs: Infinity }, nowMs), nowMs)
  if (missing === undefined) return
  const { factor, maxAge, idle = null, sessionAge = null } = demand
  explanation.decidedBy = 'assurance'
  explanation.policy = { scope, missing, required: { factor, maxAge, idle, sessionAge } }
  throw insufficientAssurance({ missing, scope, factor, maxAge })
}

function explainItems(
  state: Explaining,
  policy: CompiledPolicy,
  { context, item, action }: NonNullable<Question['subject']>,
): void {
  const { session } = state.question
  if (!session) return
  const nowMs = Date.now()
  const assured = assuredSession({ session, issuedAtMs: Infinity }, nowMs)
  const demands = demandsOn(policy, { context, item: item ?? '' }, action)
  explainDemand(
    state,
    'item',
    strictest(demands.filter((one) => firstMissing(one, assured, nowMs) !== undefined)),
  )
}

async function explainPermission({
  question: { subject, method },
  explanation,
  context,
}: Explaining): Promise<void> {
  if (!subject) return
  if (context?.isSysAdmin === true && subject.action) {
    Object.assign(explanation, { decidedBy: 'sysadmin', level: 'a' })
    return
  }
  explanation.decidedBy = 'rules'
  const rules = (await context?.rules()) ?? []
  const { permission, deciding } = decide(rules, subject.context, subject.item)
  const level = subject.action ? permission[subject.action] : 'n'
  const gives = ({ rule }: PrioritisedRule) => subject.action !== undefined && rule[subject.action] === level
  explanation.level = level
  explanation.deciding = [...deciding.filter(gives), ...deciding.filter((one) => !gives(one))]
  explanation.overruled = rules.filter(
    (one) =>
      one.rule.context === subject.context && isAbout(one.rule.item, subject.item) && !deciding.includes(one),
  )
  if (level === 'n') throw permissionDenied(subject.action ?? method ?? '', subject.context, subject.item)
}

const cures: Partial<Record<string, string>> & Partial<Record<ErrorCode, string>> = {
  user_disabled: 'Enable the user.',
  mandate_required: 'Name a mandate.',
  instance_required: 'Name a feature instance.',
  not_a_member: 'Make the user a member of the mandate.',
  membership_disabled: 'Enable the membership.',
  mandate_disabled: 'Enable the mandate.',
  mandate_not_found: 'Name a mandate that exists.',
  instance_not_found: 'Name a feature instance that exists.',
  no_instance_access:
    'Give the user access to the feature instance; it must be enabled, of the mandate, and the user a member there.',
  feature_access_disabled: 'Enable the access to the feature instance.',
  sysadmin_required: 'Make the user a SysAdmin, if they are to run the gateway.',
  insufficient_user_authentication: 'Let the user prove again, as the policy asks; or change the policy.',
  address_not_allowed: 'Add the address to the policy, or come from one that it lists.',
  platform_admin_required: 'Make the user a PlatformAdmin, if they are to govern across mandates.',
}

/** Returns what would have to change to allow it. */
export function whatWouldHelp(
  { refusal, deciding }: { refusal: { code: string } | null; deciding: PrioritisedRule[] },
  subject: Question['subject'],
): string[] {
  if (!refusal) return []
  const cure = cures[refusal.code]
  if (cure !== undefined) return [cure]
  if (refusal.code !== 'permission_denied' || !subject) return []
  const { context, item, action } = subject
  if (!action) return ['Use another method: this one means no action that a rule could allow.']
  const target = `${context} ${item ?? '(all items)'}`
  const [first] = deciding
  if (!first)
    return [
      `Give one of the user's roles a rule for ${target} with ${action} m, g or a; or give the user a role that has one.`,
    ]
  return [
    `Set ${action} to m, g or a in a rule that decided: role ${first.rule.roleId}, ${first.rule.context} ${first.rule.item ?? '(all items)'}, priority ${first.priority}.`,
    ...(first.priority < 3
      ? [
          `Or give the user a role of a higher priority (${first.priority === 1 ? 'of the mandate or the instance' : 'of the instance'}) with a rule for ${target}.`,
        ]
      : []),
  ]
}
