/**
 * How often each thing happens: once in every run of the tests, twenty times with `npm run test:replication`.
 */
export const rounds = Number(process.env.REPLICATION_ROUNDS ?? 1)

/** Says what was measured, where somebody asked for it. */
export function report(event: string, measured: Record<string, unknown>): void {
  if (process.env.REPLICATION_ROUNDS !== undefined)
    process.stderr.write(`${event}: ${JSON.stringify(measured)}\n`)
}
