import type { Request } from 'express'
import type { Directory, Placement, User } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { countingRules } from './counting-rules.js'
import { decidePlacement, type Entry, type RequestedPlace } from './decide-placement.js'
import type { RequestContext } from './request-context.js'
import { requestedPlace, type PlacePolicy } from './requested-place.js'

export type { PlacePolicy }

interface Dependencies {
  directory: Pick<Directory, 'placement' | 'rules'>
  /** Called for a mandate that was entered by platform level alone. */
  onPlatformEntry: (user: User, mandateId: string, requestId: string) => void
  /**
   * Called when a member enters a mandate that does not see their profile yet, about once for each load of
   * the membership.
   */
  onFirstEntry: (membershipId: string) => void
}

/** The context of one request. Its rules are read once, so that the whole request uses the same. */
class PlacedContext implements RequestContext {
  readonly mandateId: string | null
  readonly featureInstanceId: string | null
  readonly roleIds: string[]
  readonly isSysAdmin: boolean
  readonly isPlatformAdmin: boolean
  #rules: ReturnType<RequestContext['rules']> | undefined = undefined

  constructor(
    readonly user: User,
    readonly entry: Entry,
    private readonly directory: Pick<Directory, 'rules'>,
  ) {
    this.mandateId = entry.mandateId
    this.featureInstanceId = entry.featureInstanceId
    this.roleIds = entry.roleIds
    this.isSysAdmin = user.isSysAdmin
    this.isPlatformAdmin = user.isPlatformAdmin
  }

  rules(): ReturnType<RequestContext['rules']> {
    return (this.#rules ??= this.load())
  }

  private load(): ReturnType<RequestContext['rules']> {
    const { mandateId, featureInstanceId } = this
    if (mandateId === null) return []
    const found = this.directory.rules(this.roleIds)
    return found instanceof Promise
      ? found.then((loaded) => countingRules(loaded, mandateId, featureInstanceId))
      : countingRules(found, mandateId, featureInstanceId)
  }
}

/** The decision about a remembered placement and its user. It lives as long as both are remembered. */
const entered = new WeakMap<Placement, { user: User; entry: Entry }>()

function entryOf(
  user: User,
  requested: RequestedPlace,
  placement: Placement,
  onFirstEntry: Dependencies['onFirstEntry'],
): Entry {
  const known = entered.get(placement)
  if (known?.user === user) return known.entry
  const entry = decidePlacement(user, requested, placement)
  entered.set(placement, { user, entry })
  if (placement.membership?.profileShown === false) onFirstEntry(placement.membership.id)
  return entry
}

const nowhere: Entry = {
  mandateId: null,
  featureInstanceId: null,
  roleIds: [],
  byPlatformLevel: false,
  policy: undefined,
  dependsOn: [],
}

/**
 * Returns the context of a user in a mandate and instance, decided as for a request. Throws as the context
 * table says.
 */
export async function enterPlace(
  user: User,
  requested: RequestedPlace,
  directory: Pick<Directory, 'placement' | 'rules'>,
): Promise<RequestContext> {
  if (requested.mandateId === undefined && requested.instanceId === undefined)
    return new PlacedContext(user, nowhere, directory)
  const placement = await directory.placement(user.id, requested.mandateId, requested.instanceId)
  return new PlacedContext(user, decidePlacement(user, requested, placement), directory)
}

function entering({ directory, onPlatformEntry, onFirstEntry }: Dependencies) {
  return (req: Request, user: User, requested: RequestedPlace, placement: Placement) => {
    req.state.namedMandateId = placement.mandate?.id
    const entry = entryOf(user, requested, placement, onFirstEntry)
    if (entry.byPlatformLevel && placement.mandate) onPlatformEntry(user, placement.mandate.id, req.state.id)
    req.state.context = new PlacedContext(user, entry, directory)
  }
}

/**
 * Admits a caller into the mandate of an object, as if the request had named that mandate. Sets `context` of
 * the request's state. Throws as the context table says.
 */
export function enterMandate(dependencies: Dependencies): (req: Request, mandateId: string) => Promise<void> {
  const enter = entering(dependencies)
  return async (req, mandateId) => {
    const user = req.state.principal?.user
    if (!user) throw new GatewayError('authentication_required', 'Not authenticated')
    enter(
      req,
      user,
      { mandateId, instanceId: undefined },
      await dependencies.directory.placement(user.id, mandateId, undefined),
    )
  }
}

/**
 * Resolves the context of a request into its state, by the context table. An anonymous caller has none.
 */
export function resolveContext(dependencies: Dependencies): (policy: PlacePolicy) => Middleware {
  const { directory } = dependencies
  const enter = entering(dependencies)
  return (policy) => (req, _res, next) => {
    const requested = requestedPlace(req, policy)
    req.state.requestedPlace = requested
    const user = req.state.principal?.user
    if (!user) {
      next()
      return undefined
    }
    if (requested.mandateId === undefined && requested.instanceId === undefined) {
      req.state.context = new PlacedContext(user, nowhere, directory)
      next()
      return undefined
    }
    const placement = directory.placement(user.id, requested.mandateId, requested.instanceId)
    if (!(placement instanceof Promise)) {
      enter(req, user, requested, placement)
      next()
      return undefined
    }
    return placement.then((loaded) => {
      enter(req, user, requested, loaded)
      next()
    })
  }
}
