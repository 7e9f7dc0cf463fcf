import { isatty } from 'node:tty'

/** Returns whether this process runs on a terminal. Closing the terminal (SIGHUP) then stops the process. */
export const isOnTerminal = () => [0, 1, 2].some((fd) => isatty(fd))

/** Ctrl-C arrives twice at nearly the same time: from the terminal and, forwarded, from npm. */
const sameKeyMs = 1000

/**
 * Returns a promise of the first signal to stop: SIGTERM, SIGINT (Ctrl-C) and, in a process that was started
 * on a terminal, SIGHUP, which says that the terminal is gone. `onImpatience` is called when Ctrl-C comes
 * again later.
 */
export function stopSignal(onImpatience: () => void): Promise<void> {
  let stoppedAt: number | undefined
  return new Promise((resolve) => {
    const stop = () => {
      stoppedAt ??= performance.now()
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', () => {
      if (stoppedAt !== undefined && performance.now() - stoppedAt > sameKeyMs) onImpatience()
      stop()
    })
    if (isOnTerminal()) process.on('SIGHUP', stop)
  })
}
