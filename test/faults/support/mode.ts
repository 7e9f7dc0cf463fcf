/**
 * `FAULTS=long` runs the scenarios as long as they deserve; without it they are as short as every run can
 * bear.
 */
export const long = process.env.FAULTS === 'long'

/** Rounds of revoking and probing. */
export const rounds = Number(process.env.FAULTS_ROUNDS ?? (long ? 10_000 : 120))

/** Says what was measured, where somebody asked for it (`FAULTS` or `FAULTS_REPORT` is set). */
export function report(scenario: string, measured: Record<string, unknown>): void {
  if (process.env.FAULTS === undefined && process.env.FAULTS_REPORT === undefined) return
  process.stderr.write(`${scenario}: ${JSON.stringify(measured)}\n`)
}

/** The value below which that share of them lies. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN) * 10) /
    10
  )
}
