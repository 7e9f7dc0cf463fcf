import { randomBytes } from 'node:crypto'

const closeOpcode = 0x8

/**
 * Follows the WebSocket frames of one direction (RFC 6455 §5.2), without reading their contents, to know
 * where one ends.
 */
export class FrameFollower {
  private header: number[] = []
  private payloadLeft = 0
  private isLast = false

  /** Returns whether a frame may begin here: the last one is complete, and was no Close. */
  get mayBeginFrame(): boolean {
    return this.payloadLeft === 0 && this.header.length === 0 && !this.isLast
  }

  /** Takes the next bytes that were passed on. */
  follow(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.payloadLeft > 0) {
        const passed = Math.min(this.payloadLeft, chunk.length - at)
        this.payloadLeft -= passed
        at += passed
        continue
      }
      this.header.push(chunk[at] ?? 0)
      at += 1
      if (this.header.length === headerLength(this.header)) this.beginPayload()
    }
  }

  private beginPayload(): void {
    const [first = 0, second = 0] = this.header
    this.isLast ||= (first & 0x0f) === closeOpcode
    const short = second & 0x7f
    const extended = short < 126 ? [] : this.header.slice(2, short === 126 ? 4 : 10)
    // No connection lives long enough to reach a length beyond what a number holds exactly.
    this.payloadLeft = short < 126 ? short : extended.reduce((length, byte) => length * 256 + byte, 0)
    this.header = []
  }
}

/** How long the header that begins with these bytes is, as far as they tell. */
function headerLength([, second]: number[]): number {
  if (second === undefined) return 2
  const length = second & 0x7f
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + ((second & 0x80) === 0 ? 0 : 4)
}

/**
 * Returns a Close frame (RFC 6455 §5.5.1) with a code and a reason of up to 123 bytes. Clients must send it
 * `masked`.
 */
export function closeFrame(code: number, reason: string, masked: boolean): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason).subarray(0, 123)])
  if (!masked) return Buffer.concat([Buffer.from([0x80 | closeOpcode, payload.length]), payload])
  const mask = randomBytes(4)
  return Buffer.concat([
    Buffer.from([0x80 | closeOpcode, 0x80 | payload.length]),
    mask,
    payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)),
  ])
}
