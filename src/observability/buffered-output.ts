import { writeSync } from 'node:fs'

/** Where lines are written to, some time soon. */
export interface Output {
  write: (line: string) => void
  /** Writes what is waiting now. */
  flush: () => void
}

const flushAfterMs = 50
const flushAtCharacters = 64 * 1024

/** A full pipe says EAGAIN: its reader is slow, and the line is worth waiting for. */
function writeAll(fd: number, text: string): void {
  let bytes = Buffer.from(text)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes))
    } catch (error) {
      // nobody reads any more
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
    }
  }
}

/**
 * Gathers lines and writes them together: a system call a line costs more than all that the line tells of.
 * The rest goes out when the process ends.
 */
export function bufferedOutput(fd: number): Output {
  let waiting: string[] = []
  let characters = 0
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    const text = waiting.join('')
    waiting = []
    characters = 0
    if (text !== '') writeAll(fd, text)
  }
  process.on('exit', flush)
  return {
    flush,
    write: (line) => {
      waiting.push(line)
      characters += line.length
      if (characters >= flushAtCharacters) flush()
      else timer ??= setTimeout(flush, flushAfterMs)
    },
  }
}
