import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import type { Directory, Placement, User } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/chain.js'
import type { Policy } from '../http/policy.js'
import { countingRules } from './counting-rules.js'
import { decidePlacement, type Entry, type RequestedPlace } from './decide-placement.js'
import type { RequestContext } from './request-context.js'

/** What an endpoint asks of the place it works in. */
type PlacePolicy = Pick<Policy, 'mandate' | 'instance'>

interface Dependencies {
  directory: Pick<Directory, 'placement' | 'rules'>
  /** Told of a mandate that was entered by platform level alone. */
  onPlatformEntry: (user: User, mandateId: string, requestId: string) => void
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function placeHeader(req: IncomingMessage, header: 'x-mandate-id' | 'x-instance-id', invalid: 'mandate_id_invalid' | 'instance_id_invalid'): string | undefined {
  const value = req.headers[header]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string' || !uuid.test(value)) throw new GatewayError(invalid, `The header ${header} must be one UUID`)
  return value.toLowerCase()
}

/** Whoever asks for a mandate or an instance gets both headers looked at, so that they cannot contradict each other unseen. */
function requestedPlace(req: IncomingMessage, policy: PlacePolicy): RequestedPlace {
  const mandateId = placeHeader(req, 'x-mandate-id', 'mandate_id_invalid')
  const instanceId = placeHeader(req, 'x-instance-id', 'instance_id_invalid')
  if (policy.mandate === 'required' && mandateId === undefined) throw new GatewayError('mandate_required', 'Name the mandate in the header X-Mandate-Id')
  if (policy.instance === 'required' && instanceId === undefined) throw new GatewayError('instance_required', 'Name the feature instance in the header X-Instance-Id')
  return { mandateId, instanceId }
}

/** The context of one request. Its rules are asked for once, so that all of the request sees the same. */
class PlacedContext implements RequestContext {
  readonly mandateId: string | null
  readonly featureInstanceId: string | null
  readonly roleIds: string[]
  readonly isSysAdmin: boolean
  readonly isPlatformAdmin: boolean
  #rules: ReturnType<RequestContext['rules']> | undefined = undefined

  constructor(readonly user: User, entry: Entry, private readonly directory: Pick<Directory, 'rules'>) {
    this.mandateId = entry.mandateId
    this.featureInstanceId = entry.featureInstanceId
    this.roleIds = entry.roleIds
    this.isSysAdmin = user.isSysAdmin
    this.isPlatformAdmin = user.isPlatformAdmin
  }

  rules(): ReturnType<RequestContext['rules']> {
    return this.#rules ??= this.load()
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

/** What was decided of a remembered placement, for the user it was decided of. Lives as long as both are remembered. */
const entered = new WeakMap<Placement, { user: User; entry: Entry }>()

function entryOf(user: User, requested: RequestedPlace, placement: Placement): Entry {
  const known = entered.get(placement)
  if (known?.user === user) return known.entry
  const entry = decidePlacement(user, requested, placement)
  entered.set(placement, { user, entry })
  return entry
}

const nowhere: Entry = { mandateId: null, featureInstanceId: null, roleIds: [], byPlatformLevel: false }

/** Finds out where a request works, into `req.context`: the context table. An anonymous caller is nowhere. */
export function resolveContext({ directory, onPlatformEntry }: Dependencies): (policy: PlacePolicy) => Middleware {
  const enter = (req: Request, user: User, requested: RequestedPlace, placement: Placement) => {
    const entry = entryOf(user, requested, placement)
    if (entry.byPlatformLevel && placement.mandate) onPlatformEntry(user, placement.mandate.id, req.id)
    req.context = new PlacedContext(user, entry, directory)
  }
  return (policy) => (req, _res, next) => {
    const requested = requestedPlace(req, policy)
    const user = req.principal?.user
    if (!user) {
      next()
      return undefined
    }
    if (requested.mandateId === undefined && requested.instanceId === undefined) {
      req.context = new PlacedContext(user, nowhere, directory)
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
