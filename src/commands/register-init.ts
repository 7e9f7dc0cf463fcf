import type { Command } from 'commander'
import { exitCodes } from '../domain/exit-codes.js'
import type { CommandResult } from './routes-command.js'
import type { InitOptions } from './init-command.js'
import { asJson, examples } from './options.js'

type Given = Partial<InitOptions>

/** The command that leads from the demo to a product of one's own. */
export function registerInit(program: Command, say: (said: CommandResult) => void): void {
  program
    .command('init')
    .description(
      'put a service of your own behind the gateway: makes a mandate, roles, a person and a route, as far as they are missing',
    )
    .option('-m, --mandate <name>', 'the name of the mandate: a customer or a team')
    .option('-s, --service <url>', 'the address of your service, such as http://127.0.0.1:9000')
    .option('-P, --path <prefix>', 'the path prefix that it is reached by, such as /orders')
    .option('-u, --user <username>', 'the first person')
    .option('-e, --email <address>', 'where they are written to')
    .option('-n, --full-name <name>', 'what people call them')
    .option('-r, --role <role>', 'their role: admin, member or viewer; by default admin')
    .option('--feature <code>', 'what rules call the service; by default the last part of the path')
    .option('--strip', 'take the path prefix off before a request is sent on')
    .option(
      '-p, --password',
      'read their password from standard input, or ask for it, instead of printing a link',
    )
    .option('-f, --file <file>', 'the route file; by default what GATEWAY_ROUTES names')
    .option('--dry-run', 'say what would be made, and make nothing')
    .option('-y, --yes', 'do not ask')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('init', 'init --mandate "Example Co" --service http://127.0.0.1:9000 --path /orders --user maria --dry-run', 'init --mandate "Example Co" --service http://127.0.0.1:9000 --path /orders --user maria --yes', 'init --mandate "Example Co" --service http://127.0.0.1:9000 --path /orders --user maria --password --yes < password.txt')}
What is missing is asked for on a terminal. What is there already stays as it is: a second run changes nothing. The password is never an argument, which others on this machine could read.
Works while a gateway runs, and without one. Exit codes: ${exitCodes.ok} done, ${exitCodes.no} not done, ${exitCodes.configuration} the configuration has faults.`,
    )
    .action(
      async ({
        strip = false,
        password = false,
        dryRun = false,
        yes = false,
        json = false,
        ...given
      }: Given) =>
        say(
          await (
            await import('./init-command.js')
          ).initProduct({ ...given, strip, password, dryRun, yes, json }),
        ),
    )
}
