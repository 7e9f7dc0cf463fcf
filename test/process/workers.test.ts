import { execFileSync } from 'node:child_process'
import { afterAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { until } from '../support/until.js'

interface ListedNode {
  id: string
  processId: number
  leaseMs: number
}

/** A request may break off with the worker that had it; it must not wait for one that is gone. */
function broken(error: unknown): void {
  if (typeof error === 'object' && error !== null && 'name' in error && error.name === 'TimeoutError')
    throw new Error('a request was left hanging')
}

describe('GATEWAY_WORKERS', () => {
  afterAll(async () => {
    await cleanUpProcesses()
  })

  it('serves one port by all workers, replaces killed ones, revokes on all, and SIGTERM ends all with 0', async () => {
    const database = await createTestDatabase()
    try {
      const gateway = startGatewayProcess({
        GATEWAY_WORKERS: '4',
        DATABASE_URL: database.url,
        DATABASE_MIGRATION_URL: database.ownerUrl,
        DATA_DIR: await makeDataDir(),
        APP_JWT_KEY_SECRET: testSecret,
        SEED_DEMO: 'true',
        RATE_LIMIT_ADDRESS: 'off',
        COHERENCE_LEASE_MS: '2000',
      })
      const url = (await gateway.says(/is ready: (\S+)/))[1] ?? ''
      const { token: root } = await tokenFor(database, 'root')
      // A connection of its own for each request, so that they go round the workers.
      const ask = (path: string, token: string, method = 'GET') =>
        fetch(url + path, { method, headers: { Authorization: `Bearer ${token}`, Connection: 'close' } })
      const nodes = async () =>
        ((await (await ask('/system/nodes', root)).json()) as { items: ListedNode[] }).items
      const before = await until(async () => {
        const listed = await nodes()
        return listed.length === 4 ? listed : undefined
      })
      expect(new Set(before.map(({ processId }) => processId)).size).toBe(4)

      const victims = before.slice(0, 3)
      const killed = new AbortController()
      const statuses = new Set<number>()
      const strangers = Array.from({ length: 12 }, async () => {
        while (!killed.signal.aborted)
          await fetch(`${url}/auth/me`, {
            headers: { Connection: 'close' },
            signal: AbortSignal.timeout(15_000),
          }).then(({ status }) => statuses.add(status), broken)
      })
      for (const { processId } of victims) {
        await new Promise((resolve) => setTimeout(resolve, 300)) // requests are under way
        process.kill(processId, 'SIGKILL')
      }
      const after = await until(async () => {
        const listed = (await nodes().catch(() => [])).filter(
          ({ id }) => !victims.some((victim) => victim.id === id),
        )
        return listed.length === 4 ? listed : undefined
      }, 15_000)
      expect(after.some(({ processId }) => !before.some((node) => node.processId === processId))).toBe(true)

      const { token, jti } = await tokenFor(database, 'alice')
      for (let round = 0; round < 9; round += 1) expect((await ask('/auth/me', token)).status).toBe(200)
      expect((await ask(`/system/tokens/${jti}`, root, 'DELETE')).status).toBe(200)
      for (let round = 0; round < 9; round += 1) expect((await ask('/auth/me', token)).status).toBe(401)

      killed.abort()
      await Promise.all(strangers)
      expect([...statuses]).toEqual([401]) // nobody answers for the gateway while workers start

      gateway.child.kill('SIGTERM')
      expect(await gateway.ended).toBe(0)
      for (const { processId } of after)
        expect(() => execFileSync('kill', ['-0', String(processId)], { stdio: 'ignore' })).toThrow()
    } finally {
      await cleanUpProcesses()
      await database.drop()
    }
  }, 60_000)
})
