/** A Postgres snapshot (`pg_snapshot`): which transactions had ended when it was taken. */
export interface Snapshot {
  xmax: bigint
  /** Transactions below `xmax` that were still running. */
  running: ReadonlySet<bigint>
}

/** Parses the text of a `pg_snapshot`, `xmin:xmax:running,…`. Throws on anything else. */
export function parseSnapshot(text: string): Snapshot {
  const parts = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text)
  if (!parts) throw new Error(`not a snapshot: ${text}`)
  return {
    xmax: BigInt(parts[2] ?? ''),
    running: new Set((parts[3] ?? '').split(',').filter(Boolean).map(BigInt)),
  }
}

/** Returns whether a committed transaction is visible in a snapshot, as `pg_visible_in_snapshot` does. */
export function isVisible(xid: bigint, { xmax, running }: Snapshot): boolean {
  return xid < xmax && !running.has(xid)
}
