import { rm } from 'node:fs/promises'

export default async function stopCluster() {
  const { postgres, dataDir } = globalThis.__cluster
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
}
