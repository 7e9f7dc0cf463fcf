import type { Duplex } from 'node:stream'
import type { Passage } from '../coherence/streams.js'
import { GatewayError, statusOf } from '../errors.js'
import { closeFrame, FrameFollower } from './frames.js'

/** How long each side may take to read a Close frame before it is cut. */
const closingMs = 1000

/** RFC 6455 §7.4.1 */
const goingAway = 1001
const tryAgainLater = 1013

/** The close code of a refusal: 4401 and 4403 stand for HTTP's 401 and 403, in the range for applications. */
function closeCodeOf(refusal: unknown): number {
  const status = refusal instanceof GatewayError ? statusOf(refusal.code) : 500
  if (status === 401) return 4401
  return status >= 500 ? tryAgainLater : 4403
}

interface Side {
  socket: Duplex
  /** Follows the frames that were written to the side. */
  written: FrameFollower
  /** Only what a client sends is masked. */
  masked: boolean
}

/** Both sides of one WebSocket, which passes through as it is. */
export class WebSocketRelay {
  private readonly client: Side
  private readonly upstream: Side
  private passage: Passage | undefined = undefined
  private readonly idle: NodeJS.Timeout
  private isEnding = false
  private isOver = false

  constructor(
    client: Duplex,
    upstream: Duplex,
    idleMs: number,
    private readonly onEnd: () => void,
  ) {
    this.client = { socket: client, written: new FrameFollower(), masked: false }
    this.upstream = { socket: upstream, written: new FrameFollower(), masked: true }
    this.idle = setTimeout(() => this.end(goingAway, 'silent for too long'), idleMs)
  }

  /** Begins to relay, as long as the passage is open. */
  start(passage: Passage): void {
    this.passage = passage
    if (this.isEnding) passage.close()
    this.pump(this.client, this.upstream)
    this.pump(this.upstream, this.client)
  }

  /** The caller may not go on. */
  cut(refusal: unknown): void {
    const code = refusal instanceof GatewayError ? refusal.code : 'internal_error'
    this.end(closeCodeOf(refusal), code)
  }

  /** The process is about to end. */
  drain(): void {
    this.end(goingAway, 'the gateway is about to end')
  }

  private pump(from: Side, to: Side): void {
    from.socket.on('data', (chunk: Buffer) => {
      if (this.isEnding) return
      if (this.passage?.isOpen() !== false) {
        this.pass(chunk, from, to)
        return
      }
      from.socket.pause()
      this.passage.wait().then(
        () => {
          from.socket.resume()
          this.pass(chunk, from, to)
        },
        () => undefined,
      ) // it has been cut
    })
    from.socket.resume()
    from.socket.on('end', () => {
      if (!this.isEnding) to.socket.end()
    })
    from.socket.on('error', () => undefined) // 'close' follows
    from.socket.on('close', () => {
      this.finish()
      if (!this.isEnding) to.socket.destroy()
    })
  }

  private pass(chunk: Buffer, from: Side, to: Side): void {
    if (this.isEnding) return
    this.idle.refresh()
    to.written.follow(chunk)
    if (to.socket.write(chunk)) return
    from.socket.pause()
    to.socket.once('drain', () => from.socket.resume())
  }

  /** Sends the reason to both sides, if a frame may begin here; otherwise cuts the connection. */
  private end(code: number, reason: string): void {
    if (this.isEnding) return
    this.isEnding = true
    for (const { socket, written, masked } of [this.client, this.upstream]) {
      if (written.mayBeginFrame)
        socket.end(closeFrame(masked && code >= 4000 ? goingAway : code, reason, masked))
      else socket.destroy()
      socket.resume() // so that the other side's Close is read, and its end noticed
      setTimeout(() => socket.destroy(), closingMs).unref()
    }
    this.finish()
  }

  private finish(): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.idle)
    this.passage?.close()
    this.onEnd()
  }
}
