import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import { isUuid } from '../domain/ids.js'
import { GatewayError } from '../errors.js'
import type { MandateSource, Policy } from '../http/endpoint/policy.js'
import type { RequestedPlace } from './decide-placement.js'

/** What an endpoint or route asks for of mandate and instance, and where a request may name them. */
export type PlacePolicy = Pick<Policy, 'mandate' | 'instance' | 'mandateFrom' | 'prefix'>

type Kind = 'mandate' | 'instance'

function invalid(kind: Kind, where: string): GatewayError {
  return new GatewayError(
    kind === 'mandate' ? 'mandate_id_invalid' : 'instance_id_invalid',
    `${where} must be one UUID`,
  )
}

function placeHeader(req: IncomingMessage, kind: Kind): string | undefined {
  const header = kind === 'mandate' ? 'x-mandate-id' : 'x-instance-id'
  const value = req.headers[header]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string' || !isUuid(value)) throw invalid(kind, `The header ${header}`)
  return value.toLowerCase()
}

function checked(values: string[], kind: Kind, where: string): string[] {
  return values
    .filter((value) => value !== '')
    .map((value) => {
      if (!isUuid(value)) throw invalid(kind, where)
      return value.toLowerCase()
    })
}

/** Returns an id as some programs would read it: without parameters, braces, a scheme and hyphens. */
const asReadByOthers = (text: string) =>
  decodeURIComponent(text)
    .replace(/;.*$/s, '')
    .replace(/^urn:uuid:/i, '')
    .replace(/[{}()-]/g, '')

/**
 * The first part of a path or host is an id only if it is written like one. It may be something else, but not
 * a text that some program would take for an id.
 */
function ifUuid(text: string | undefined, where: string): string[] {
  if (text === undefined) return []
  if (isUuid(text)) return [text.toLowerCase()]
  if (/^[0-9a-f]{32}$/i.test(asReadByOthers(text))) throw invalid('mandate', where)
  return []
}

/**
 * Returns a parameter's name as the most lenient program would read it: `MandateID`, `mandate_id`,
 * `mandateId[]` and `[mandateId]` are one.
 */
const asForgivenByOthers = (name: string) =>
  name
    .toUpperCase()
    .toLowerCase()
    .replace(/(?<=.)\[.*$/s, '')
    .replace(/[^a-z0-9]/g, '')

/**
 * Returns the ids in the query. Another spelling is refused, and one after a semicolon: the service could
 * read an unchecked mandate there.
 */
function parametersOf({ state: { search } }: Request, kind: Kind): string[] {
  const name = `${kind}Id`
  const values = new URLSearchParams(search).getAll(name)
  // no spelling is shorter, and a query may hold thousands of pairs
  const couldBe = search
    .slice(1)
    .split(/[&;]/)
    .filter(({ length }) => length >= name.length)
  const alike = couldBe
    .flatMap((pair) => [...new URLSearchParams(pair).keys()])
    .filter((one) => asForgivenByOthers(one) === name.toLowerCase())
  // Some programs read the last value of a name, and some the first. With an empty one beside it the service
  // might read no id at all.
  if (values.length > 1 && values.includes('') && values.some((value) => value !== ''))
    throw new GatewayError(
      'header_ambiguous',
      `Name the ${kind} once: the parameter ${name} is there with an id and without one`,
    )
  if (alike.length !== values.length)
    throw new GatewayError(
      'header_ambiguous',
      `Name the ${kind} in the parameter ${name}, in no other spelling and behind no semicolon`,
    )
  return values
}

/** Subprotocols that name a mandate or instance are for the gateway, not for the service. */
const placeProtocol = /^(mandate|instance)\.(.*)$/

/** The WebSocket subprotocols that a request offers (RFC 6455 §4.1). */
export function offeredProtocols(req: IncomingMessage): string[] {
  return (req.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
}

/** Returns whether a subprotocol is `mandate.<id>` or `instance.<id>`. */
export const namesPlace = (protocol: string) => placeProtocol.test(protocol)

const named: Record<MandateSource, (req: Request, kind: Kind, policy: PlacePolicy) => string[]> = {
  header: (req, kind) => [placeHeader(req, kind)].filter((value) => value !== undefined),
  query: (req, kind) => checked(parametersOf(req, kind), kind, `The parameter ${kind}Id`),
  path: (req, kind, { prefix = '/' }) =>
    kind === 'instance'
      ? []
      : ifUuid(
          req.state.pathname.slice(prefix === '/' ? 1 : prefix.length + 1).split('/', 1)[0],
          'The mandate in the path',
        ),
  host: (req, kind) =>
    kind === 'instance' ? [] : ifUuid(req.state.requestedHost?.split('.', 1)[0], 'The mandate in the host'),
  subprotocol: (req, kind) =>
    checked(
      offeredProtocols(req).flatMap((one) => {
        const [, what, id = ''] = placeProtocol.exec(one) ?? []
        return what === kind ? [id] : []
      }),
      kind,
      `The subprotocol ${kind}.<id>`,
    ),
}

/**
 * Returns the id that all sources agree on. Two different ones are refused, because it is unknown which was
 * meant.
 */
function agreed(
  req: Request,
  kind: Kind,
  policy: PlacePolicy,
  sources: readonly MandateSource[],
): string | undefined {
  const [first, ...others] = sources.flatMap((source) => named[source](req, kind, policy))
  if (others.some((other) => other !== first))
    throw new GatewayError('header_ambiguous', `The request names two different ${kind}s`)
  return first
}

/** If either is asked for, both the mandate and the instance are read, so that a contradiction is noticed. */
export function requestedPlace(req: Request, policy: PlacePolicy): RequestedPlace {
  const { mandateFrom } = policy
  const mandateId = mandateFrom ? agreed(req, 'mandate', policy, mandateFrom) : placeHeader(req, 'mandate')
  const instanceId = mandateFrom ? agreed(req, 'instance', policy, mandateFrom) : placeHeader(req, 'instance')
  requirePlace(policy, { mandateId, instanceId })
  return { mandateId, instanceId }
}

/** Refuses a request that does not name what its endpoint or route requires. */
export function requirePlace(
  { mandate, instance, mandateFrom }: PlacePolicy,
  { mandateId, instanceId }: RequestedPlace,
): void {
  if (mandate === 'required' && mandateId === undefined)
    throw new GatewayError('mandate_required', `Name the mandate in ${placesFor('mandate', mandateFrom)}`)
  if (instance === 'required' && instanceId === undefined)
    throw new GatewayError(
      'instance_required',
      `Name the feature instance in ${placesFor('instance', mandateFrom)}`,
    )
}

const wordsFor: Record<MandateSource, (kind: Kind) => string | undefined> = {
  header: (kind) => `the header ${kind === 'mandate' ? 'X-Mandate-Id' : 'X-Instance-Id'}`,
  query: (kind) => `the parameter ${kind}Id`,
  path: (kind) => (kind === 'mandate' ? "the path's first segment after the prefix" : undefined),
  host: (kind) => (kind === 'mandate' ? "the host's first label" : undefined),
  subprotocol: (kind) => `the subprotocol ${kind}.<id>`,
}

function placesFor(kind: Kind, sources: readonly MandateSource[] = ['header']): string {
  return sources
    .map((source) => wordsFor[source](kind))
    .filter((words) => words !== undefined)
    .join(' or ')
}
