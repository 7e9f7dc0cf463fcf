import { writeSync } from 'node:fs'

/** Takes lines and writes them a little later. */
export interface Output {
  write: (line: string) => void
  /** Writes what is waiting now. */
  flush: () => void
}

const flushAfterMs = 50
const flushAtCharacters = 64 * 1024

/** Writes the text. A full pipe gives EAGAIN, because its reader is slow; then it tries again. */
function writeAll(fd: number, text: string): void {
  let bytes = Buffer.from(text)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes))
    } catch (error) {
      // the reader has closed the pipe
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
    }
  }
}

/**
 * Returns an output that gathers lines and writes them together, because one system call per line is slow.
 * Waiting lines are written when the process ends.
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
