import { connectDatabase } from './connect.js'
import { askDatabase, asRequestsDo, type DatabaseFacts } from './diagnose.js'
import { asynchronousStandby } from './standbys.js'
import { remedyOf } from './wait.js'
import { fault, ok, warning, wordsOf, type Finding } from '../domain/finding.js'

interface Options {
  /** The login that requests use. */
  url: string
  ownerUrl: string
  directUrl: string
  /** True when that login is the owner's, and each connection becomes `gateway_app`. */
  setRole: boolean
}

const [oldest, newest] = [14, 18]
const skewMs = 2000

function versionFinding({ version, versionNumber }: DatabaseFacts): Finding {
  const major = Math.floor(versionNumber / 10_000)
  if (major >= oldest && major <= newest) return ok('database version', `Postgres ${version}`)
  return major < oldest
    ? fault(
        'database version',
        `Postgres ${version} is too old`,
        `Upgrade to Postgres ${oldest} to ${newest}.`,
      )
    : warning(
        'database version',
        `Postgres ${version} is newer than what this version is tested with`,
        `Use Postgres ${oldest} to ${newest}, or a newer gateway.`,
      )
}

function roleFinding(
  { login, isSuperuser, bypassesRls, mayBecomeApp, mayCreate, ownsTables }: DatabaseFacts,
  setRole: boolean,
): Finding {
  const todo =
    'Make a login that is a member of gateway_app and nothing else for DATABASE_URL, and give ' +
    "the owner's to DATABASE_MIGRATION_URL."
  if (mayBecomeApp === false)
    return fault(
      'database role',
      `${login} may not become gateway_app`,
      `Say, as the owner: grant gateway_app to "${login}".`,
    )
  if (mayBecomeApp === null)
    return fault(
      'database role',
      'there is no role gateway_app',
      'Run the migrations: mandate-gateway migrate.',
    )
  if (!setRole && (isSuperuser || bypassesRls || ownsTables))
    return fault(
      'database role',
      `${login} ` +
        `${isSuperuser ? 'is a superuser' : ownsTables ? 'owns the tables' : 'bypasses row-level security'}: ` +
        'mandates are not kept apart from it',
      todo,
    )
  if (mayCreate)
    return warning(
      'database role',
      'gateway_app may make tables and functions in the schema public',
      'Say, as a superuser: revoke create on schema public from public.',
    )
  if (setRole)
    return isSuperuser
      ? warning('database role', `${login} is a superuser; its transactions become gateway_app`, todo)
      : ok('database role', `${login}, whose transactions become gateway_app`)
  return ok('database role', `${login}, a member of gateway_app`)
}

function migrationFinding({ pending, unknown }: DatabaseFacts): Finding {
  if (unknown.length > 0)
    return warning(
      'migrations',
      `the database has ${unknown.length} that this version does not know, such as ` +
        `${unknown[0] ?? ''}: a newer gateway has migrated it`,
      'Update this gateway.',
    )
  if (pending.length > 0)
    return fault(
      'migrations',
      `${pending.length} are not applied, the first of them ${pending[0] ?? ''}`,
      'Run: mandate-gateway migrate (a start does so, too).',
    )
  return ok('migrations', 'all are applied')
}

function settingsFindings({
  isStandby,
  fsync,
  synchronousCommit,
  skew,
  asynchronousStandbys,
}: DatabaseFacts): Finding[] {
  return [
    asynchronousStandbys > 0
      ? warning('standbys', asynchronousStandby.says, asynchronousStandby.todo)
      : ok('standbys', 'no standby is asynchronous'),
    isStandby
      ? fault('database primary', 'it is a standby, which is behind', 'Point DATABASE_URL to the primary.')
      : ok('database primary', 'it is the primary'),
    fsync && synchronousCommit
      ? ok('durability', 'commits are on the disk before they are answered')
      : warning(
          'durability',
          `${fsync ? 'synchronous_commit' : 'fsync'} is off: a crash of the database can lose a ` +
            'revocation that was answered',
          `Switch ${fsync ? 'synchronous_commit' : 'fsync'} on.`,
        ),
    Math.abs(skew) <= skewMs
      ? ok('clock', `within ${skewMs / 1000} s of the database's`)
      : fault(
          'clock',
          `this machine's clock is ${Math.round(Math.abs(skew) / 100) / 10} s ` +
            `${skew > 0 ? 'ahead of' : 'behind'} the database's: tokens would expire early or late`,
          'Keep both by NTP.',
        ),
  ]
}

function transportFinding({ transport }: DatabaseFacts): Finding {
  const check = 'database encryption'
  if (transport === 'local') return ok(check, 'the database is on this machine')
  if (transport === 'verified') return ok(check, 'TLS, with a certificate that was checked')
  return transport === 'plain'
    ? warning(
        check,
        'the connection is not encrypted: whoever is on its way reads and changes what is asked',
        'Add ?sslmode=verify-full to the URL (docs/deploy.md).',
      )
    : warning(
        check,
        'TLS, but nobody checked the certificate: the server may be another one',
        'Use ?sslmode=verify-full, with sslrootcert=FILE for a certificate authority of your own.',
      )
}

/**
 * Row-level security is forced on the owner, too, and pg_dump refuses tables that might show it less than
 * everything.
 */
function backupFinding({ login, isSuperuser, bypassesRls }: DatabaseFacts): Finding {
  return ok(
    'backup',
    isSuperuser || bypassesRls
      ? `pg_dump as ${login} reads everything`
      : `pg_dump as ${login} needs --enable-row-security`,
  )
}

function poolerFinding(name: string, isDirect: boolean, { isPooled }: DatabaseFacts): Finding {
  if (isDirect && isPooled)
    return fault(
      'pooler',
      `${name} goes through a pooler in transaction mode: the lease would be lost`,
      'Set DATABASE_DIRECT_URL to the database itself.',
    )
  return ok(
    'pooler',
    isPooled ? `${name} goes through a pooler in transaction mode` : 'leases have a session of their own',
  )
}

/** Runs what requests run, in their way: the same pool, role and time limits. */
async function requestFinding({ url, setRole }: Options): Promise<Finding> {
  const pool = connectDatabase({ url, setRole, poolSize: 1 })
  try {
    await pool.rows(asRequestsDo)
    await pool.transaction((tx) => tx.rows(asRequestsDo))
    return ok('database requests', 'statements of requests are answered')
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    return fault(
      'database requests',
      `a statement as requests make it fails: ${wordsOf(cause)}`,
      remedyOf(cause),
    )
  } finally {
    await pool.close()
  }
}

/** Examines the database. `now` is this machine's clock, in milliseconds. */
export async function examineDatabase(options: Options, now: () => number = Date.now): Promise<Finding[]> {
  const { url, ownerUrl, directUrl, setRole } = options
  const names = [
    ['DATABASE_URL', url],
    ['DATABASE_MIGRATION_URL', ownerUrl],
    ['DATABASE_DIRECT_URL', directUrl],
  ] as const
  const findings: Finding[] = []
  for (const [name, one] of names.filter(
    ([, one], index) => names.findIndex(([, other]) => other === one) === index,
  )) {
    try {
      const facts = await askDatabase(one, now)
      if (one === url) {
        findings.push(
          ok('database', `${facts.login} reaches ${facts.database}`),
          versionFinding(facts),
          roleFinding(facts, setRole),
          migrationFinding(facts),
          ...settingsFindings(facts),
          transportFinding(facts),
        )
        if (facts.pending.length === 0) findings.push(await requestFinding(options))
      }
      if (one === ownerUrl) findings.push(backupFinding(facts))
      if (one === directUrl || (one === url && facts.isPooled))
        findings.push(poolerFinding(name, one === directUrl, facts))
    } catch (error) {
      findings.push(
        fault(
          'database',
          `${name} (${new URL(one).host}) cannot be used: ${wordsOf(error)}`,
          remedyOf(error),
        ),
      )
    }
  }
  return findings
}

/**
 * Checks whose failure makes a start pointless: requests would not be answered, or mandates not kept apart.
 */
const startChecks = new Set(['database', 'database version', 'database role', 'database requests', 'pooler'])

/** Rejects, with a sentence for the operator, when a gateway could not serve with these logins. */
export async function requireUsableLogins(options: Options): Promise<void> {
  const faults = (await examineDatabase(options)).filter(
    ({ check, level }) => level === 'fault' && startChecks.has(check),
  )
  if (faults.length > 0) throw new Error(faults.map(({ says, todo }) => `${says}. ${todo ?? ''}`).join('\n'))
}
