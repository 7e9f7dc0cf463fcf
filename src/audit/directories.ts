import path from 'node:path'

/** Returns the directories below DATA_DIR in which the audit keeps what must not depend on the database. */
export function auditDirectories(dataDir: string): { checkpoints: string; spill: string } {
  const checkpoints = path.join(dataDir, 'audit')
  return { checkpoints, spill: path.join(checkpoints, 'spill') }
}
