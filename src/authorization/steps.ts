import type { AdmissionOptions, Policy } from '../http/endpoint/policy.js'

/** The parts of a policy by which a step applies or not. */
export type Asked = Pick<
  Policy,
  'auth' | 'mandate' | 'instance' | 'guard' | 'prefix' | 'area' | 'assurance' | 'judged'
> & {
  permission?: object | undefined
}

interface Step {
  name: string
  /** Whether it decides who, where or what. The other steps protect the gateway. */
  decides: boolean
  /** On a route that watches: enforced, noted with the decision, or left out. */
  watched: 'enforced' | 'noted' | 'skipped'
  applies: (policy: Asked, options: AdmissionOptions) => boolean
}

const always = () => true
const needsCaller = ({ auth }: Asked) => auth !== 'public'
/** Returns whether a policy asks for a mandate or an instance. */
export const needsContext = ({ mandate, instance }: Pick<Asked, 'mandate' | 'instance'>) =>
  mandate !== 'none' || instance !== 'none'

/** Returns whether callers are judged by the policy of the mandate that they enter. */
const entersJudged = (policy: Asked) => needsContext(policy) && policy.judged !== false

/**
 * Every step between the match of a request and its handler, in order. Admission runs all of them. Deciding
 * again and explaining run those that decide. A new step is added here; the compiler then finds what lacks it.
 */
const steps = [
  { name: 'limitAddress', decides: false, watched: 'enforced', applies: always },
  {
    name: 'limitEntry',
    decides: false,
    watched: 'skipped',
    applies: (_policy, { entry }) => entry !== undefined,
  },
  { name: 'refuseAmbiguousHeaders', decides: false, watched: 'noted', applies: always },
  {
    name: 'parseInputs',
    decides: false,
    watched: 'skipped',
    applies: (_policy, { parse }) => parse !== undefined,
  },
  { name: 'refuseCrossSite', decides: false, watched: 'noted', applies: always },
  { name: 'noteMoment', decides: false, watched: 'noted', applies: needsCaller },
  { name: 'authenticate', decides: true, watched: 'noted', applies: needsCaller },
  { name: 'limitUser', decides: false, watched: 'skipped', applies: needsCaller },
  { name: 'resolveContext', decides: true, watched: 'noted', applies: needsContext },
  { name: 'requireMandatePolicy', decides: true, watched: 'noted', applies: entersJudged },
  { name: 'countEntry', decides: false, watched: 'skipped', applies: needsContext },
  {
    name: 'limitQuota', // quotas are for what routes serve, not for the gateway's own endpoints
    decides: false,
    watched: 'skipped',
    applies: (policy) => needsContext(policy) && policy.prefix !== undefined,
  },
  { name: 'requireGuard', decides: true, watched: 'noted', applies: ({ guard }) => guard !== undefined },
  {
    name: 'requirePermission',
    decides: true,
    watched: 'noted',
    applies: ({ permission }) => permission !== undefined,
  },
  {
    name: 'requirePlacePolicy', // of the item, the route and the operators' area
    decides: true,
    watched: 'noted',
    applies: (policy) =>
      needsCaller(policy) &&
      (policy.area !== undefined || policy.assurance !== undefined || entersJudged(policy)),
  },
] as const satisfies readonly Step[]

type AnyStep = (typeof steps)[number]

/** A step that decides who, where or what. */
export type DecidingStep = Extract<AnyStep, { decides: true }>['name']
/** A step that protects the gateway and decides nothing about the caller. */
export type ProtectingStep = Extract<AnyStep, { decides: false }>['name']

/** Returns the steps that a policy asks for, in order. */
export const stepsOf = (policy: Asked, options: AdmissionOptions): AnyStep[] =>
  steps.filter((step: Step) => step.applies(policy, options))

/** Returns the steps that decide under a policy, in order. */
export const decidingStepsOf = (policy: Asked): DecidingStep[] =>
  stepsOf(policy, {}).flatMap((step) => (step.decides ? [step.name] : []))
