import { InvalidArgumentError } from 'commander'

/** The option that all commands have which answer something. */
export const asJson = ['--json', 'print one JSON object'] as const
export interface Json {
  json?: boolean
}

/** How a command is called, for its help. */
export const examples = (...lines: string[]) =>
  `\nExamples:\n${lines.map((line) => `  mandate-gateway ${line}`).join('\n')}\n`

/** Reads an option that is a whole number. */
export function wholeFrom(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < least || number > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    return number
  }
}
