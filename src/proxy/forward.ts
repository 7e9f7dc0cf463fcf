import type { Dispatcher } from 'undici'
import type { Middleware } from '../http/endpoint/chain.js'
import { hasBody } from '../http/unfinished-body.js'
import { openPassage, type Exchange, type Lane } from './exchange.js'
import type { IdentityFor } from './identity.js'
import { checkLength, limitedBody } from './limited-body.js'
import { Relay } from './relay.js'
import { upstreamHeaders, type HeaderSettings } from './request-headers.js'
import { sentPath } from './sent-path.js'
import { UpgradeRelay } from './upgrade.js'

/** Sends the request on to its route's upstream, as a stream in both directions. */
export function forwardTo(lane: Lane, identityFor: IdentityFor, settings: HeaderSettings): Middleware {
  const { route, upstreams, callers, callerOf, leastBodyRate } = lane
  const { disclosure } = settings

  const send = (exchange: Exchange, identity: string | undefined) => {
    const { req, res } = exchange
    if (hasBody(req)) checkLength(req, route.bodyLimit)
    const target = upstreams.next(route.upstream, route)
    const options: Dispatcher.DispatchOptions = {
      method: req.method,
      path: sentPath(route, req.state.pathname, req.state.search),
      headers: upstreamHeaders(
        req,
        identity,
        settings,
        req.state.span?.forward(route.upstream, target.address),
      ),
      body: null,
      ...(route.timeoutMs === undefined
        ? {}
        : { headersTimeout: route.timeoutMs, bodyTimeout: route.timeoutMs }),
    }
    // nothing throws between here and the relay, which gives it back
    const share = callers.enter(callerOf(req))
    if (req.state.takeUpgrade) {
      new UpgradeRelay(exchange, target, share, { ...options, upgrade: 'websocket' }, undefined).send()
      return
    }
    if (!hasBody(req)) {
      new Relay(exchange, target, share, options, undefined).send()
      return
    }
    const ends: { relay?: Relay } = {}
    const passage = openPassage(exchange, {
      cut: (refusal) => ends.relay?.cut(refusal),
      drain: () => ends.relay?.drain(),
    })
    options.body = limitedBody(req, { limit: route.bodyLimit, leastRate: leastBodyRate }, passage)
    if (req.headers.expect !== undefined && req.httpVersion !== '1.0') res.writeContinue()
    ends.relay = new Relay(exchange, target, share, options, passage)
    ends.relay.send()
  }

  return (req, res, next) => {
    if (res.destroyed || res.closed) return undefined // the client has gone while it was decided
    const exchange = { req, res, next, lane }
    const caller = disclosure.identity ? (req.state.principal ?? req.state.portalClient) : undefined
    const identity =
      caller &&
      identityFor({
        caller,
        context: req.state.context,
        accessLevel: req.state.accessLevel,
        upstream: route.upstream,
        disclosure,
      })
    if (!(identity instanceof Promise)) {
      send(exchange, identity)
      return undefined
    }
    return identity.then((signed) => {
      if (!res.destroyed) send(exchange, signed)
    })
  }
}
