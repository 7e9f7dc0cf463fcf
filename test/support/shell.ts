import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'

/**
 * A bash that runs one command after another, as somebody at a terminal does: variables and the folder stay.
 */
export interface Shell {
  /**
   * Runs a command and returns its exit code and all that it printed. With `until` the command is ended, as
   * by Ctrl-C, as soon as its output matches: for one that never ends by itself.
   */
  run: (command: string, until?: RegExp) => Promise<{ exitCode: number; output: string }>
  end: () => Promise<void>
}

/** Starts a shell in `cwd` with these variables. */
export function openShell(cwd: string, env: Record<string, string>): Shell {
  const child = spawn('bash', ['--noprofile', '--norc'], {
    cwd,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  child.stderr.on('data', () => child.stdout.emit('more'))
  child.stdout.on('data', () => child.stdout.emit('more'))
  const ended = once(child, 'close')

  async function run(command: string, until?: RegExp) {
    text = ''
    const mark = randomUUID()
    child.stdin.write(`${command.trimEnd()}\nprintf '\\n%s %d\\n' ${mark} $? 2>&1\n`)
    const last = new RegExp(`\\n?${mark} (\\d+)\\n$`)
    for (let interrupted = false; ;) {
      const found = last.exec(text)
      if (found) return { exitCode: Number(found[1]), output: text.slice(0, found.index) }
      if (until?.test(text) === true && !interrupted) {
        interrupted = true
        spawn('pkill', ['-INT', '-P', String(child.pid)])
      }
      const more = await Promise.race([once(child.stdout, 'more').then(() => true), ended.then(() => false)])
      if (!more && !last.test(text)) throw new Error(`the shell ended at ${command}:\n${text}`)
    }
  }

  return {
    run,
    end: async () => {
      child.stdin.end()
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      await ended
    },
  }
}
