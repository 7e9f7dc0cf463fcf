/** What a program's end tells whoever called it; the numbers from 64 on are those of sysexits. */
export const exitCodes = {
  ok: 0,
  /** The answer is no. */
  no: 1,
  /** EX_USAGE: the command was called in a way that it does not know. */
  usage: 64,
  /** EX_CONFIG: starting again will not help until somebody mends the configuration. */
  configuration: 78,
} as const
