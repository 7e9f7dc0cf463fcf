import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../..')

/**
 * Runs a command on a pseudo-terminal; reads commands from its standard input, one a line: ctrl-c, type TEXT,
 * close.
 */
const driver = `
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
watched = [terminal, 0]
while terminal in watched:
    for fd in select.select(watched, [], [])[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b''
        if fd == terminal:
            os.write(1, data)
        elif data.startswith(b'ctrl-c'):
            os.write(terminal, b'\\x03')
        elif data.startswith(b'type '):
            os.write(terminal, data[5:])
        elif data.startswith(b'close'):
            os.close(terminal)
            watched.remove(terminal)
        if not data:
            watched.remove(fd)
_, status = os.waitpid(pid, 0)
os._exit(os.waitstatus_to_exitcode(status) % 256)
`

/** A command that runs on a terminal. */
export interface OnTerminal {
  child: ChildProcess
  output: () => string
  says: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Presses Ctrl-C. */
  interrupt: () => void
  /** Types a line. */
  type: (line: string) => void
  /** Closes the terminal's window. */
  close: () => void
  ended: Promise<number>
}

/** Starts a command on a terminal of its own, with these variables and no others of ours. */
export function startOnTerminal(environment: Record<string, string>, command: string[]): OnTerminal {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn('python3', ['-c', driver, ...command], {
    cwd: root,
    env: { PATH, HOME, PORT: '0', LOG_FORMAT: 'json', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  const ended = once(child, 'close').then(([code]) => code as number)
  return {
    child,
    ended,
    output: () => output,
    says: async (pattern) => {
      for (;;) {
        const found = pattern.exec(output)
        if (found) return found
        const more = await Promise.race([
          once(child.stdout, 'data').then(() => true),
          ended.then(() => false),
        ])
        if (!more && !pattern.test(output))
          throw new Error(`it ended before it said ${String(pattern)}:\n${output}`)
      }
    },
    type: (line) => {
      child.stdin.write(`type ${line}\n`)
    },
    interrupt: () => {
      child.stdin.write('ctrl-c\n')
    },
    close: () => {
      child.stdin.write('close\n')
    },
  }
}
