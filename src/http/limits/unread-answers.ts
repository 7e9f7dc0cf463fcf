import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * What of an answer has left this process: bytes of finished writes, and bytes that the running one still has
 * to send.
 */
interface Progress {
  finished: number
  queued: number
  sinceMs: number
}

function queuedOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle') // as Node's own time-outs ask
  const size: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : 0
  return typeof size === 'number' ? size : 0
}

/**
 * Closes connections whose client reads nothing of an answer for `unreadMs`: such an answer would be held in
 * memory for as long as the client likes. A client that reads slowly, and a stream in which nothing happens,
 * are left alone.
 */
export function closeUnread(server: Server, { unreadMs }: { unreadMs: number }): void {
  const sockets = new Map<Socket, Progress | undefined>()
  server.on('connection', (socket) => {
    sockets.set(socket, undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  const look = setInterval(() => {
    const nowMs = performance.now()
    for (const [socket, before] of sockets) {
      if (socket.writableLength === 0) {
        if (before) sockets.set(socket, undefined)
        continue
      }
      const [finished, queued] = [socket.bytesWritten - socket.writableLength, queuedOf(socket)]
      if (before?.finished !== finished || before.queued !== queued)
        sockets.set(socket, { finished, queued, sinceMs: nowMs })
      else if (nowMs - before.sinceMs >= unreadMs) socket.resetAndDestroy()
    }
  }, unreadMs / 12)
  look.unref()
  server.once('close', () => clearInterval(look))
}
