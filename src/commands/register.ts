import { InvalidArgumentError, Option, type Command } from 'commander'
import { exitCodes } from '../domain/exit-codes.js'
import { kindNames, type KindName } from './import/kinds.js'
import type { CommandResult } from './routes-command.js'
import { asJson, examples, type Json } from './options.js'
import { registerInit } from './register-init.js'
import { registerPeopleCommands } from './register-people.js'

// Loaded when they are called: help, and what is called wrongly, need none of what they need.
const auditCommands = () => import('./audit-commands.js')
const databaseCommands = () => import('./database-commands.js')

function timeOf(value: string): Date {
  const time = new Date(value)
  if (!/^\d{4}-\d\d-\d\d/.test(value) || Number.isNaN(time.getTime()))
    throw new InvalidArgumentError('It must be a day or time such as 2026-01-01 or 2026-01-01T08:00:00Z.')
  return time
}

const collect = (value: string, before: string[]) => [...before, value]

function registerAuditCommands(program: Command, say: (said: CommandResult) => void): void {
  const audit = program.command('audit').description('verify and export the audit')
  audit
    .command('verify')
    .description(
      'compare every event with the chain, the signatures, and checkpoints that were kept elsewhere',
    )
    .option(
      '-c, --checkpoint <file>',
      'a checkpoint or an export that was kept elsewhere; may be repeated',
      collect,
      [],
    )
    .option(
      '-a, --archive <file>',
      'an archive that comes before what is in the database; may be repeated',
      collect,
      [],
    )
    .option(
      '-k, --key <key>',
      'a public key whose signatures count, besides those of SECRET_KEY and SECRET_KEY_PREVIOUS; may be repeated',
      collect,
      [],
    )
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('audit verify', 'audit verify --checkpoint checkpoint.json --json')}\nExit codes: ${exitCodes.ok} all is as it was sealed, ${exitCodes.no} it is not, ${exitCodes.configuration} the configuration has faults.`,
    )
    .action(
      async ({
        checkpoint,
        archive,
        key,
        json = false,
      }: Json & { checkpoint: string[]; archive: string[]; key: string[] }) =>
        say(
          await (
            await auditCommands()
          ).verifyAudit({ json, checkpoints: checkpoint, archives: archive, keys: key }),
        ),
    )
  audit
    .command('archive')
    .description(
      'move what was sealed before a day into a file; needs the owner’s login (DATABASE_MIGRATION_URL)',
    )
    .option('-b, --before <time>', 'such as 2026-01-01; by default AUDIT_RETENTION_DAYS ago', timeOf)
    .option('-t, --to <file>', 'a file that is not there yet; by default below DATA_DIR/audit')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('audit archive --before 2026-01-01 --to audit-2025.jsonl', 'audit verify --archive audit-2025.jsonl')}\nThe file is on the disk, and verified, before anything is removed.`,
    )
    .action(async ({ before, to, json = false }: Json & { before?: Date; to?: string }) =>
      say(await (await auditCommands()).archive({ before, to, json })),
    )
  audit
    .command('checkpoint')
    .description('print the signed end of the chain, to be kept elsewhere')
    .addHelpText('after', examples('audit checkpoint > checkpoint.json'))
    .action(async () => say(await (await auditCommands()).printCheckpoint()))
  audit
    .command('export')
    .description('write the sealed events as JSON lines; the last line is a checkpoint')
    .option('-o, --out <file>', 'by default standard output')
    .addHelpText('after', examples('audit export --out audit.jsonl'))
    .action(async ({ out }: { out?: string }) => say(await (await auditCommands()).exportAudit({ out })))
}

/** The commands of operators: the database, the configuration, what is wrong, and how fast it is. */
export function registerOperatorCommands(program: Command, say: (said: CommandResult) => void): void {
  registerInit(program, say)
  registerAuditCommands(program, say)
  registerPeopleCommands(program, say)

  program
    .command('migrate')
    .description('bring the database to this version; a start does the same')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('migrate', 'migrate --json')}\nThe embedded database is used where it runs, and else started for as long. Exit codes: ${exitCodes.ok} done, ${exitCodes.no} failed, ${exitCodes.configuration} the configuration has faults.`,
    )
    .action(async ({ json = false }: Json) => say(await (await databaseCommands()).migrate({ json })))

  program
    .command('seed')
    .description('insert the demo data, once; not in production')
    .option(...asJson)
    .addHelpText('after', examples('seed'))
    .action(async ({ json = false }: Json) => say(await (await databaseCommands()).seed({ json })))

  program
    .command('import')
    .description('move people, mandates, roles and sign-ins here from an older system')
    .argument('<mapping>', 'the mapping file: where rows come from, and which column is which')
    .option('-n, --dry-run', 'say what would be made, updated, ended and refused, and change nothing')
    .option(
      '--end-gone',
      'end what was imported and is not on the old side any more: disable people, remove memberships and rights, sign out',
    )
    .addOption(
      new Option(
        '--end-all <kind...>',
        'with --end-gone: kinds of which the old side may have no row left',
      ).choices(kindNames),
    )
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('import mapping.yaml --dry-run', 'import mapping.yaml', 'import mapping.yaml --end-gone --dry-run')}
All of it is one transaction. A second run changes only what changed on the old side and was not changed here since. docs/moving-in.md describes the file.

Exit codes: ${exitCodes.ok} nothing was refused, ${exitCodes.no} failed, or rows were refused (the others are imported), ${exitCodes.configuration} the mapping file or the configuration has faults.`,
    )
    .action(
      async (
        file: string,
        {
          dryRun = false,
          endGone = false,
          endAll = [],
          json = false,
        }: Json & { dryRun?: boolean; endGone?: boolean; endAll?: KindName[] },
      ) =>
        say(
          await (
            await import('./import/import-command.js')
          ).importDirectory(file, { dryRun, endGone, endAll, json }),
        ),
    )

  program
    .command('policy')
    .description('what mandates and the operators’ areas ask of sessions')
    .command('reset')
    .description(
      'make a mandate, or the area admin or system, ask nothing any more: the way out of a lock-out',
    )
    .argument('<place>', 'the slug or id of a mandate, admin, or system')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('policy reset acme', 'policy reset system')}
When it has answered, no node judges by the policy before. The audit says that it was the command line, and who called it.

Exit codes: ${exitCodes.ok} done, ${exitCodes.no} not done, ${exitCodes.configuration} the configuration has faults.`,
    )
    .action(async (place: string, { json = false }: Json) =>
      say(await (await import('./policy-commands.js')).resetPolicy(place, json)),
    )

  program
    .command('backup')
    .description(
      'copy the data directory with the embedded database, also while it runs, to a directory that is not there yet',
    )
    .argument('<directory>', 'a start with this as DATA_DIR restores it')
    .option(...asJson)
    .addHelpText(
      'after',
      `${examples('backup /backups/2026-11-26')}
After a restore: mandate-gateway token revoke --all, as what has been revoked since the backup counts again. docs/operating.md says more.`,
    )
    .action(async (to: string, { json = false }: Json) =>
      say(await (await databaseCommands()).backup({ to, json })),
    )

  program
    .command('config')
    .description('what a start would be configured with')
    .command('print')
    .description('print every variable with its value; secrets are hidden')
    .option(...asJson)
    .addHelpText('after', examples('config print', 'config print --json'))
    .action(async ({ json = false }: Json) =>
      say((await import('./config-command.js')).printConfig({ json })),
    )

  program
    .command('doctor')
    .description('look for everything that would keep a gateway from working, and say what to do')
    .option(...asJson)
    .option('-t, --token', 'also say whether the token on standard input counts, and if not, why')
    .addHelpText(
      'after',
      `${examples('doctor', 'doctor --json', 'doctor --token < token.txt')}
Looks at the configuration, the route file, upstreams and their certificates, the data directory, the database (reachable, version, role, migrations,
pooler, clock, durability), Redis and the public address.

Exit codes: ${exitCodes.ok} without faults (warnings are none), ${exitCodes.no} with faults, ${exitCodes.configuration} when the configuration or the route file has some.`,
    )
    .action(async ({ json = false, token = false }: Json & { token?: boolean }) =>
      say(await (await import('./doctor/doctor-command.js')).runDoctor({ json, token })),
    )
}
