import type { IncomingMessage } from 'node:http'
import type { Directory, User } from '../coherence/directory.js'
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

function placeHeader(req: IncomingMessage, header: 'x-mandate-id' | 'x-instance-id', policy: string, invalid: 'mandate_id_invalid' | 'instance_id_invalid'): string | undefined {
  const value = policy === 'none' ? undefined : req.headers[header]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string' || !uuid.test(value)) throw new GatewayError(invalid, `The header ${header} must be one UUID`)
  return value.toLowerCase()
}

function requestedPlace(req: IncomingMessage, policy: PlacePolicy): RequestedPlace {
  const mandateId = placeHeader(req, 'x-mandate-id', policy.mandate, 'mandate_id_invalid')
  const instanceId = placeHeader(req, 'x-instance-id', policy.instance, 'instance_id_invalid')
  if (policy.mandate === 'required' && mandateId === undefined) throw new GatewayError('mandate_required', 'Name the mandate in the header X-Mandate-Id')
  if (policy.instance === 'required' && instanceId === undefined) throw new GatewayError('instance_required', 'Name the feature instance in the header X-Instance-Id')
  return { mandateId, instanceId }
}

function contextOf(user: User, entry: Entry, directory: Dependencies['directory']): RequestContext {
  let loading: ReturnType<RequestContext['rules']> | undefined
  const load = async () => entry.mandateId === null ? [] : countingRules(await directory.rules(entry.roleIds), entry.mandateId, entry.featureInstanceId)
  return {
    user,
    mandateId: entry.mandateId,
    featureInstanceId: entry.featureInstanceId,
    roleIds: entry.roleIds,
    isSysAdmin: user.isSysAdmin,
    isPlatformAdmin: user.isPlatformAdmin,
    rules: () => loading ??= load(),
  }
}

const nowhere: Entry = { mandateId: null, featureInstanceId: null, roleIds: [], byPlatformLevel: false }

/** Finds out where a request works, into `req.context`: the context table. An anonymous caller is nowhere. */
export function resolveContext({ directory, onPlatformEntry }: Dependencies): (policy: PlacePolicy) => Middleware {
  return (policy) => async (req, _res, next) => {
    const principal = req.principal
    if (principal) {
      const requested = requestedPlace(req, policy)
      const { mandateId, instanceId } = requested
      if (mandateId === undefined && instanceId === undefined) {
        req.context = contextOf(principal.user, nowhere, directory)
      } else {
        const placement = await directory.placement(principal.user.id, mandateId, instanceId)
        const entry = decidePlacement(principal.user, requested, placement)
        if (entry.byPlatformLevel && placement.mandate) onPlatformEntry(principal.user, placement.mandate.id, req.id)
        req.context = contextOf(principal.user, entry, directory)
      }
    }
    next()
  }
}
