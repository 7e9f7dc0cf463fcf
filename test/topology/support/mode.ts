/** `TOPOLOGY=long` does everything several times; without it as short as every run can bear. */
export const long = process.env.TOPOLOGY === 'long'

/** Says what was measured, where somebody asked for it (`TOPOLOGY` is set). */
export function report(scenario: string, measured: Record<string, unknown>): void {
  if (process.env.TOPOLOGY !== undefined) process.stderr.write(`${scenario}: ${JSON.stringify(measured)}\n`)
}
