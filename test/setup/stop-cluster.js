import { rm } from 'node:fs/promises'

export default async function stopCluster() {
  if (globalThis.__cluster === undefined) return
  const { postgres, dataDir } = globalThis.__cluster
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
}
