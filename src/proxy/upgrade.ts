import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { tokenExpired } from '../authentication/verify-token.js'
import { namesPlace, offeredProtocols } from '../context/requested-place.js'
import { GatewayError } from '../errors.js'
import { writeHead } from '../http/head.js'
import { endInTime, openPassage } from './exchange.js'
import { Relay } from './relay.js'
import { WebSocketRelay } from './relay-websocket.js'
import { responseHeaders, type UpstreamHeaders } from './response-headers.js'
import { isWatching } from './route-settings.js'

/**
 * Sends an upgrade to a target. A refusal is passed on like any other response; otherwise both sides are
 * joined.
 */
export class UpgradeRelay extends Relay {
  private joined: WebSocketRelay | undefined = undefined

  override cut(refusal: unknown): void {
    if (this.joined) {
      this.exchange.req.state.refusal = refusal instanceof GatewayError ? refusal.code : 'internal_error'
      this.joined.cut(refusal)
    } else super.cut(refusal)
  }

  override drain(): void {
    if (this.joined) this.joined.drain()
    else super.drain()
  }

  override onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: UpstreamHeaders,
    upstream: Duplex,
  ): void {
    const {
      req,
      res,
      next,
      lane: { route, answers, idleMs },
    } = this.exchange
    upstream.on('error', () => undefined) // undici has taken its own listener away; 'close' follows
    this.isDone = true
    req.state.span?.forwarded('answered')
    if (String(headers.upgrade).toLowerCase() !== 'websocket') {
      upstream.destroy()
      this.leave('answered')
      next(
        new GatewayError(
          'upstream_failed',
          'The service behind the gateway upgraded to something else than a WebSocket',
        ),
      )
      return
    }
    const client = res.socket
    if (!client || res.destroyed || res.headersSent) {
      upstream.destroy()
      this.leave('answered')
      return
    }
    const lines = responseHeaders({ ...headers, trailer: undefined }, req, res, {
      ...answers,
      isPrivate: false,
    })
    // Without a protocol in the response, a browser that offered only names of mandates or instances would
    // report a failure.
    const placeProtocol =
      route.mandateFrom?.includes('subprotocol') === true &&
      !isWatching(route) &&
      headers['sec-websocket-protocol'] === undefined
        ? offeredProtocols(req).find(namesPlace)
        : undefined
    if (placeProtocol !== undefined) lines.push('Sec-WebSocket-Protocol', placeProtocol)
    writeHead(res, status, [...lines, 'Connection', 'Upgrade', 'Upgrade', 'websocket'])
    res.flushHeaders()
    res.detachSocket(client)
    const early = req.state.takeUpgrade?.()
    if (early && early.length > 0) client.unshift(early)

    this.countAsStream()
    const waiting: { stop?: () => void } = {}
    this.joined = new WebSocketRelay(client, upstream, idleMs, () => {
      waiting.stop?.()
      this.leave('answered')
      res.emit('close') // so that its access line is written, with its duration
    })
    const passage = openPassage(this.exchange, this)
    waiting.stop = endInTime(this.exchange, passage, () => this.cut(tokenExpired()))
    this.joined.start(passage)
  }
}
