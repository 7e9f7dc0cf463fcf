import { lockAdministration } from '../authorization/level-queries.js'
import { loadTokenKeys } from '../authentication/token-keys.js'
import { ConfigError } from '../config.js'
import { exitCodes } from '../domain/exit-codes.js'
import { createLog } from '../observability/logger.js'
import { openIdentityKeys } from '../proxy/identity-keys.js'
import type { CommandResult } from './routes-command.js'
import { KeyRing } from '../system/keys.js'
import { asOperator, heard, type Operator } from './as-operator.js'
import { said } from './command-result.js'

const silent = createLog(
  { LOG_LEVEL: 'error', LOG_FORMAT: 'json' },
  { write: () => undefined, flush: () => undefined },
).logger

/** Runs `work` with the keys that this configuration has, as a node of it would. */
async function withKeys(
  work: (ring: KeyRing, operator: Operator) => Promise<CommandResult>,
): Promise<CommandResult> {
  return await asOperator(async (operator) => {
    const { config, database, commitAndAwaitNodes } = operator
    if (config.SECRET_KEY === undefined) throw new ConfigError(['SECRET_KEY: must be set'])
    const identityKeys = await openIdentityKeys({
      database,
      logger: silent,
      secret: config.SECRET_KEY,
      previousSecret: config.SECRET_KEY_PREVIOUS,
    })
    try {
      return await work(
        new KeyRing({
          sql: database,
          commitAndAwaitNodes,
          keys: await loadTokenKeys(config),
          identityKeys,
          config,
        }),
        operator,
      )
    } finally {
      await identityKeys.close()
    }
  })
}

/** `keys list`. */
export async function listKeys(json: boolean): Promise<CommandResult> {
  return await withKeys(async (ring) => {
    const keys = await ring.list()
    return said(
      exitCodes.ok,
      json,
      { items: keys },
      keys.map(
        ({ kid, algorithm, use, state, since }) =>
          `${kid.padEnd(46)}${use.padEnd(14)}${state.padEnd(11)}${algorithm.padEnd(7)}${since ?? '-'}`,
      ),
    )
  })
}

/** `keys rotate`: a new key for identities; the others come from the environment. */
export async function rotateKeys(json: boolean): Promise<CommandResult> {
  return await withKeys(async (ring, { actor }) => {
    const made = await ring.rotate({ actor, begin: lockAdministration })
    return said(exitCodes.ok, json, made, [
      `${made.kid} is published within a minute, and signs ten minutes from now.`,
    ])
  })
}

/** `keys retire`: no token that it signed counts any more. */
export async function retireKey(
  kid: string,
  { force, json }: { force: boolean; json: boolean },
): Promise<CommandResult> {
  return await withKeys(async (ring, { actor }) => {
    const coherence = await ring.retire(kid, force, { actor, begin: lockAdministration })
    return said(exitCodes.ok, json, { kid, coherence }, [`${kid} is retired.`, heard(coherence)])
  })
}
