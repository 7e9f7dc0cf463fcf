import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const cli = path.resolve(import.meta.dirname, '../../dist/cli.js')

/** What a command said. */
export interface CliOutcome {
  code: number
  stdout: string
  stderr: string
}

/**
 * Runs the command line as a shell would, with these variables and no others of ours; `input` goes into its
 * standard input.
 */
export async function runCli(
  args: string[],
  environment: Record<string, string>,
  input = '',
): Promise<CliOutcome> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [cli, ...args], { env: { PATH, HOME, ...environment } })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      said[name] += chunk.toString()
    })
  child.stdin.on('error', () => undefined) // it may not read it
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? -1, ...said }
}

/** The JSON object that a command printed. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- what a test looks at is what it expects
export const jsonOf = <Body = Record<string, unknown>>({ stdout }: CliOutcome) => JSON.parse(stdout) as Body

/** Returns the arguments of an `init` that puts a service below /orders, for the person maria. */
export const initArguments = (service: string, more: string[]) => [
  'init',
  ...['--mandate', 'Example Co'],
  ...['--service', service],
  ...['--path', '/orders'],
  ...['--user', 'maria'],
  ...more,
]
