#!/usr/bin/env node
import './domain/node-version.js'
import { readFileSync } from 'node:fs'
import { METHODS } from 'node:http'
import { Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { registerOperatorCommands } from './commands/register.js'
import { routeFile } from './config.js'
import { exitCodes } from './domain/exit-codes.js'
import { checkRoutes, matchRoute, type CommandResult } from './commands/routes-command.js'

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))

function say({ exitCode, stdout, stderr }: CommandResult): void {
  process.stderr.write(stderr)
  process.stdout.write(stdout)
  process.exitCode = exitCode
}

/** Returns the method in upper case. Throws for a method that Node's HTTP parser does not accept. */
function methodOf(value: string): string {
  const method = value.toUpperCase()
  if (!METHODS.includes(method) || method === 'CONNECT')
    throw new InvalidArgumentError('It is no method that the gateway reads.')
  return method
}

const program = new Command('mandate-gateway')
  .description('The door of a multi-tenant product: who is calling, in which mandate, and what they may do.')
  .version(version)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? exitCodes.ok : exitCodes.usage))
  .addHelpText(
    'after',
    `
Examples:
  mandate-gateway start
  mandate-gateway doctor
  mandate-gateway routes check
  mandate-gateway routes match GET '/api/crm/contacts?x=1'

Exit codes:
  ${exitCodes.ok}   done, or the answer is yes
  ${exitCodes.no}   failed, or the answer is no
  ${exitCodes.usage}  the command was not called as it wants to be
  ${exitCodes.configuration}  the configuration or the route file has faults

Environment variables configure the gateway; README.md lists them.`,
  )

program
  .command('start')
  .description('start the gateway: the same as node dist/main.js')
  .action(async () => {
    await import('./main.js')
  })

const routes = program
  .command('routes')
  .description('check the route file, and ask it what becomes of a request')
const fromFile = [
  '-f, --file <file>',
  'the route file; by default what GATEWAY_ROUTES names',
  routeFile(),
] as const
const asJson = ['--json', 'print one JSON object'] as const

interface FileOptions {
  file: string
  json?: boolean
}

routes
  .command('check')
  .description('list every fault of the route file, with its line')
  .argument('[file]', 'the route file, in place of --file')
  .option(...fromFile)
  .option(...asJson)
  .addHelpText(
    'after',
    `
Examples:
  mandate-gateway routes check
  mandate-gateway routes check new-routes.yaml --json

Exit codes: ${exitCodes.ok} without faults (warnings are none), ${exitCodes.configuration} with faults.`,
  )
  .action(async (named: string | undefined, { file, json = false }: FileOptions, command: Command) => {
    if (named !== undefined && command.getOptionValueSource('file') === 'cli')
      command.error('error: name the file once, as an argument or by --file')
    say(await checkRoutes({ file: named ?? file, json }))
  })

routes
  .command('match')
  .description('say which route a request takes, what it must pass there and what is sent on')
  .argument('<method>', 'such as GET', methodOf)
  .argument('<path>', 'the path as a client sends it, with or without a query')
  .option('--host <host>', 'the host that the client asks for, where routes are there for some hosts only')
  .option(...fromFile)
  .option(...asJson)
  .addHelpText(
    'after',
    `
Examples:
  mandate-gateway routes match GET '/api/crm/contacts?x=1'
  mandate-gateway routes match DELETE /api/crm/contacts/7 --json -f new-routes.yaml

Exit codes: ${exitCodes.ok} when a route takes it, ${exitCodes.no} when none does or the path is refused, ` +
      `${exitCodes.configuration} when the file has faults.`,
  )
  .action(
    async (method: string, target: string, { file, json = false, host }: FileOptions & { host?: string }) => {
      say(await matchRoute({ file, json, method, target, host }))
    },
  )

registerOperatorCommands(program, say)

await program.parseAsync()
