import { ConfigError } from '../config.js'
import { exitCodes } from '../exit-codes.js'
import type { Said } from '../routes-command.js'

/** What a command has to say: one JSON object, or lines. */
export function said(exitCode: number, json: boolean, value: unknown, lines: string[]): Said {
  return { exitCode, stdout: json ? `${JSON.stringify(value, undefined, 2)}\n` : lines.map((line) => `${line}\n`).join(''), stderr: '' }
}

/** What a command could not do, in words for whoever called it. */
export function failed(error: unknown): Said {
  const words = error instanceof Error ? error.message : String(error)
  return { exitCode: error instanceof ConfigError ? exitCodes.configuration : exitCodes.no, stdout: '', stderr: `${words}\n` }
}
