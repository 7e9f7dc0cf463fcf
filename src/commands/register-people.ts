import { Argument, InvalidArgumentError, type Command } from 'commander'
import { isUuid } from '../domain/ids.js'
import { exitCodes } from '../domain/exit-codes.js'
import type { CommandResult } from './routes-command.js'
import { asJson, examples, wholeFrom, type Json } from './options.js'
import type { AdminLevel } from './user-commands.js'

type Say = (said: CommandResult) => void

// Loaded when they are called: help, and what is called wrongly, need none of what they need.
const users = () => import('./user-commands.js')
const links = () => import('./link-commands.js')
const tokens = () => import('./token-commands.js')
const keyCommands = () => import('./key-commands.js')

const codes = `\nExit codes: ${exitCodes.ok} done, ${exitCodes.no} not done, ${exitCodes.configuration} the configuration has faults.`
const promise =
  '\nWhen it has answered, no node acts on the state before. The audit says that it was the command line, and who called it.'
const named = ['<user>', 'the username or the id'] as const

const rowId =
  (refusal: string) =>
  (value: string): string => {
    if (!isUuid(value)) throw new InvalidArgumentError(refusal)
    return value.toLowerCase()
  }
const tokenId = rowId('It must be the token’s id (its claim jti); a token itself goes into standard input.')

function registerUserCommands(program: Command, say: Say): void {
  const user = program.command('user').description('make users, shut them out, set their passwords')
  user
    .command('create')
    .description('make a user; prints a link by which they set a password, once')
    .argument('<username>', 'in lower case; it never changes')
    .option('-e, --email <address>', 'where they are written to')
    .option('-n, --full-name <name>', 'what people call them')
    .option(
      '-p, --password',
      'read a password from standard input, or ask for it, instead of printing a link',
    )
    .option('-s, --service-account', 'a program’s account, which signs in with no password')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('user create anna --email anna@example.com --full-name "Anna Arnold"', 'user create nightly-reports --service-account', 'user create anna --password < password.txt')}${codes}`,
    )
    .action(
      async (
        name: string,
        options: Json & { email?: string; fullName?: string; password?: boolean; serviceAccount?: boolean },
        command: Command,
      ) => {
        const { email, fullName, password = false, serviceAccount = false, json = false } = options
        if (password && serviceAccount) command.error('error: a service account has no password')
        say(await (await users()).createUser({ name, email, fullName, password, serviceAccount, json }))
      },
    )
  for (const [verb, enabled, what] of [
    ['disable', false, 'shut a user out of everything, at once'],
    ['enable', true, 'let a user in again'],
  ] as const) {
    user
      .command(verb)
      .description(what)
      .argument(...named)
      .option(...asJson)
      .addHelpText('after', `${examples(`user ${verb} anna`)}${promise}${codes}`)
      .action(async (who: string, { json = false }: Json) =>
        say(await (await users()).enableUser(who, enabled, json)),
      )
  }
  user
    .command('factors')
    .description('remove the second factors and recovery codes of a user who has lost them')
    .argument(...named)
    .requiredOption('--reset', 'remove all of them, and end all sessions')
    .option(...asJson)
    .addHelpText('after', `${examples('user factors anna --reset')}${promise}${codes}`)
    .action(async (who: string, { json = false }: Json) =>
      say(await (await users()).resetFactorsOf(who, json)),
    )
  user
    .command('export')
    .description('print all that is held of a user as JSON, without hashes and secrets')
    .argument(...named)
    .addHelpText('after', `${examples('user export anna > anna.json')}${codes}`)
    .action(async (who: string) => say(await (await users()).exportPerson(who)))
  user
    .command('erase')
    .description('delete a user, and what the audit says about them; their id stays there')
    .argument(...named)
    .option('-n, --dry-run', 'say what would end, and change nothing')
    .option('-y, --yes', 'do not ask')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('user erase anna --dry-run', 'user erase anna', 'user erase anna --yes')}
It cannot be undone: the name is asked for on the terminal, unless --yes is given.${promise}${codes}`,
    )
    .action(
      async (
        who: string,
        { dryRun = false, yes = false, json = false }: Json & { dryRun?: boolean; yes?: boolean },
      ) => say(await (await users()).erasePerson(who, { dryRun, yes, json })),
    )
  user
    .command('links')
    .description('list the links to a first password that still work, and who issued them')
    .option(...asJson)
    .addHelpText('after', `${examples('user links', 'user links --json')}${codes}`)
    .action(async ({ json = false }: Json) => say(await (await links()).listLinks(json)))
  user
    .command('withdraw-link')
    .description('make a link to a first password work no more')
    .argument('<id>', 'as user links shows it', rowId('It must be the id that user links shows.'))
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('user withdraw-link 5f0c3a52-8c0e-4f0e-9d53-0f1d3f1a2b3c')}${promise}${codes}`,
    )
    .action(async (id: string, { json = false }: Json) => say(await (await links()).withdrawLink(id, json)))
  user
    .command('password')
    .description('set a password; ends all sessions of the user')
    .argument(...named)
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('user password anna', 'user password anna < password.txt')}
The password is asked for, or read from standard input; it is never an argument, which others on this machine could read.${promise}${codes}`,
    )
    .action(async (who: string, { json = false }: Json) => say(await (await users()).setPassword(who, json)))
}

function registerAdminCommands(program: Command, say: Say): void {
  const admin = program
    .command('admin')
    .description('say who governs the platform, and who operates the gateway')
  const level = () =>
    new Argument(
      '<level>',
      'platform (governs across mandates) or system (operates, and may everything)',
    ).choices(['platform', 'system'])
  for (const [verb, granted, what] of [
    ['grant', true, 'make a user a PlatformAdmin or SysAdmin'],
    ['revoke', false, 'make them a user like others; not the last one of a level'],
  ] as const) {
    admin
      .command(verb)
      .description(what)
      .addArgument(level())
      .argument(...named)
      .option(...asJson)
      .addHelpText(
        'after',
        `${examples(`admin ${verb} platform anna`, `admin ${verb} system anna --json`)}${promise}${codes}`,
      )
      .action(async (of: AdminLevel, who: string, { json = false }: Json) =>
        say(await (await users()).setAdmin(of, who, granted, json)),
      )
  }
  registerSetupLink(admin, say)
}

function registerSetupLink(admin: Command, say: Say): void {
  admin
    .command('setup-link')
    .description('print a link by which the first admin makes themselves, once; only while there is no admin')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('admin setup-link')}
It works for a day, and replaces those of before. A start prints one, too, as long as there is no user at all.${codes}`,
    )
    .action(async ({ json = false }: Json) => say(await (await users()).printSetupLink(json)))
}

function registerTokenCommands(program: Command, say: Say): void {
  const token = program.command('token').description('issue, revoke and look at tokens')
  token
    .command('issue')
    .description('issue a long-lived token of a service account; it is printed alone, this once')
    .argument('<account>', 'the service account, by name or id')
    .requiredOption('-l, --label <label>', 'what it is for')
    .option('-d, --days <days>', 'how long it counts', wholeFrom(1, 400), 90)
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('token issue nightly-reports --label "nightly export" --days 30')}${codes}`,
    )
    .action(async (account: string, { label, days, json = false }: Json & { label: string; days: number }) =>
      say(await (await tokens()).issueToken(account, { label, days, json })),
    )
  token
    .command('revoke')
    .description('revoke a token, by its id or by itself from standard input; or all')
    .argument('[id]', 'the token’s id, its claim jti', tokenId)
    .option('-a, --all', 'end every session and revoke every token: for a database that was restored')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('token revoke 5f0c3a52-8c0e-4f0e-9d53-0f1d3f1a2b3c', 'token revoke < token.txt', 'token revoke --all')}${promise}${codes}`,
    )
    .action(
      async (
        id: string | undefined,
        { all = false, json = false }: Json & { all?: boolean },
        command: Command,
      ) => {
        if (all && id !== undefined) command.error('error: --all and one token cannot be combined')
        say(all ? await (await tokens()).revokeAll(json) : await (await tokens()).revokeOne(id, json))
      },
    )
  token
    .command('inspect')
    .description(
      'say what a token claims and whether it counts; the token itself comes from standard input and is not shown',
    )
    .argument('[id]', 'look at the row with this id instead', tokenId)
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('token inspect < token.txt', 'token inspect 5f0c3a52-8c0e-4f0e-9d53-0f1d3f1a2b3c --json')}
Exit codes: ${exitCodes.ok} it counts, ${exitCodes.no} it does not, ${exitCodes.configuration} the configuration has faults.`,
    )
    .action(async (id: string | undefined, { json = false }: Json) =>
      say(await (await tokens()).inspectToken(id, json)),
    )
}

function registerKeyCommands(program: Command, say: Say): void {
  const keys = program
    .command('keys')
    .description('list the keys that sign and seal, and change those that are not configured')
  keys
    .command('list')
    .description('what they are called and what they do; never what they are')
    .option(...asJson)
    .addHelpText('after', `${examples('keys list')}${codes}`)
    .action(async ({ json = false }: Json) => say(await (await keyCommands()).listKeys(json)))
  keys
    .command('rotate')
    .description('make a new key for the identities that are sent to upstreams')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('keys rotate')}
Keys of access tokens and seals come from the environment: docs/operating.md says how to change them.${codes}`,
    )
    .action(async ({ json = false }: Json) => say(await (await keyCommands()).rotateKeys(json)))
  keys
    .command('retire')
    .description('let nothing count any more that a key has signed')
    .argument('<kid>', 'as keys list shows it')
    .option(
      '-f, --force',
      'also the key that signs, after which nobody can sign in until the nodes have another',
    )
    .option(...asJson)
    .addHelpText('after', `${examples('keys retire 1x0Gq2o3t4Zk')}${promise}${codes}`)
    .action(async (kid: string, { force = false, json = false }: Json & { force?: boolean }) =>
      say(await (await keyCommands()).retireKey(kid, { force, json })),
    )
}

/** The commands about people and programs, and what they are let in by. */
export function registerPeopleCommands(program: Command, say: Say): void {
  registerUserCommands(program, say)
  registerAdminCommands(program, say)
  registerTokenCommands(program, say)
  registerKeyCommands(program, say)
}
