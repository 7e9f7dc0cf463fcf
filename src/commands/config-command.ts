import { loadConfig, type Config } from '../config.js'
import { exitCodes } from '../domain/exit-codes.js'
import type { CommandResult } from './routes-command.js'
import { failed, said } from './command-result.js'

const secretName = /SECRET|PRIVATE_KEY|PASSWORD|TOKEN$/
const hidden = '(set, not shown)'

/**
 * A value as it may be shown: no secret, and a URL without its password and without what its query may hold.
 */
function shown(name: string, value: unknown): unknown {
  if (value === undefined) return null
  if (secretName.test(name) && typeof value === 'string') return hidden
  if (typeof value !== 'string' || !URL.canParse(value)) return value
  const url = new URL(value)
  if (url.password !== '') url.password = '***'
  for (const key of [...url.searchParams.keys()])
    if (/password|secret|key|token/i.test(key)) url.searchParams.set(key, '***')
  return url.password === '***' || url.search !== '' ? url.href : value
}

/** The configuration that a start would use, without its secrets. */
export function showConfig(config: Config): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, shown(name, value)]))
}

/** `config print`: what a start would use. */
export function printConfig({ json }: { json: boolean }): CommandResult {
  try {
    const values = showConfig(loadConfig())
    return said(
      exitCodes.ok,
      json,
      values,
      Object.entries(values).map(
        ([name, value]) =>
          `${name.padEnd(36)}${value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value)}`,
      ),
    )
  } catch (error) {
    return failed(error)
  }
}
