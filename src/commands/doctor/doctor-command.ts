import { ConfigError, loadConfig, routeFile, unknownVariables, type Config } from '../../config.js'
import { connectDatabase } from '../../database/connect.js'
import { withDevelopmentSecrets } from '../../process/development-secrets.js'
import { examineDatabase } from '../../database/examine.js'
import { fault, ok, warning, wordsOf, type Finding } from '../../domain/finding.js'
import { examineWayOut } from './messages.js'
import {
  examineAddress,
  examineDataDir,
  examineRedis,
  examineRoutes,
  examineUpstreams,
} from './surroundings.js'
import { exitCodes } from '../../domain/exit-codes.js'
import type { CommandResult } from '../routes-command.js'
import { readSecret } from '../read-secret.js'
import { said } from '../command-result.js'
import { inspectAccessToken } from '../token-commands.js'
import { useDatabase } from '../use-database.js'

/**
 * Whether a token counts, and the row of the authentication table that refuses it. The token is never shown.
 */
async function examineToken(config: Config, token: string): Promise<Finding> {
  const { config: settled } = await withDevelopmentSecrets(config)
  return await useDatabase(settled, async ({ url, setRole }) => {
    const database = connectDatabase({ url, setRole, poolSize: 1 })
    try {
      const { counts, reason, why } = await inspectAccessToken(token, { config: settled, database })
      if (counts) return ok('token', 'it counts')
      return fault(
        'token',
        `it does not count: ${reason ?? ''}${why === undefined ? '' : ` (${why})`}`,
        'docs/operating.md lists the reasons; mandate-gateway token inspect shows its claims and its row.',
      )
    } finally {
      await database.close()
    }
  })
}

async function examine(config: Config): Promise<Finding[]> {
  const database = useDatabase(config, (logins) =>
    examineDatabase({ ...logins, directUrl: config.DATABASE_DIRECT_URL ?? logins.url }),
  ).catch((error: unknown) => [
    fault('database', wordsOf(error), 'Mend what it says, or set DATABASE_URL to a Postgres of your own.'),
  ])
  const dataDir = await examineDataDir(config)
  const [databaseFindings, redis, messages] = await Promise.all([
    database,
    examineRedis(config),
    examineWayOut(config),
  ])
  return [dataDir, ...databaseFindings, ...redis, ...messages, ...examineAddress(config)]
}

function configFindings(): { findings: Finding[]; config?: Config } {
  const unknown = unknownVariables().map((one) =>
    warning('configuration', one, 'Correct its name, or unset it.'),
  )
  try {
    return { config: loadConfig(), findings: [ok('configuration', 'no faults'), ...unknown] }
  } catch (error) {
    const faults = error instanceof ConfigError ? error.faults : [wordsOf(error)]
    return {
      findings: [
        ...faults.map((one) => fault('configuration', one, 'Mend the variable; README.md lists them.')),
        ...unknown,
      ],
    }
  }
}

const marks = { ok: 'ok      ', warning: 'warning ', fault: 'FAULT   ' } as const

/** `doctor`: all that can be found out before a start, each finding with what to do. */
export async function runDoctor({ json, token }: { json: boolean; token: boolean }): Promise<CommandResult> {
  const { findings: ofConfig, config } = configFindings()
  const { findings: ofRoutes, table } = await examineRoutes(config?.GATEWAY_ROUTES ?? routeFile())
  const findings = [
    ...ofConfig,
    ...ofRoutes,
    ...(table ? await examineUpstreams(table) : []),
    ...(config ? await examine(config) : []),
  ]
  if (token && config)
    findings.push(
      await examineToken(config, (await readSecret('Token')).trim()).catch((error: unknown) =>
        fault('token', wordsOf(error), 'Mend what it says.'),
      ),
    )
  const faults = findings.filter(({ level }) => level === 'fault').length
  const lines = findings.flatMap(({ check, level, says, todo }) => [
    `${marks[level]}${check}: ${says}`,
    ...(todo === undefined ? [] : [`          ${todo}`]),
  ])
  const isMisconfigured = config === undefined || table === undefined
  const exitCode = isMisconfigured ? exitCodes.configuration : faults > 0 ? exitCodes.no : exitCodes.ok
  return said(exitCode, json, { faults, findings }, [
    ...lines,
    faults === 0 ? 'Nothing stands against a start.' : `${faults} ${faults === 1 ? 'fault' : 'faults'}.`,
  ])
}
