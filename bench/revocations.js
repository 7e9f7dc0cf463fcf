/** How long a revocation takes to answer, with as many healthy nodes. */
import { loginAll, quantile, root, alice, startDatabase, startGateway, startServer } from './processes.js'

export async function measureRevocations({ counts, rounds }) {
  const rows = []
  const bare = await startServer('bare.js')
  for (const count of counts) {
    const database = await startDatabase()
    const nodes = []
    try {
      for (let node = 0; node < count; node += 1) nodes.push(await startGateway(database, bare.url))
      const [admin] = await loginAll(database, [{ id: root, username: 'root' }])
      const logins = await loginAll(
        database,
        Array.from({ length: rounds }, () => ({ id: alice, username: 'alice' })),
      )
      const took = []
      let accepted = 0
      for (const [round, { jti, token }] of logins.entries()) {
        const probe = async (node) =>
          (await fetch(`${node.url}/auth/me`, { headers: { authorization: `Bearer ${token}` } })).status
        for (const node of nodes)
          if ((await probe(node)) !== 200) throw new Error('a valid token was refused')
        const before = performance.now()
        const answer = await fetch(`${nodes[round % count].url}/system/tokens/${jti}`, {
          method: 'DELETE',
          headers: { authorization: `Bearer ${admin.token}` },
        })
        took.push(performance.now() - before)
        if (answer.status !== 200)
          throw new Error(`a revocation answered ${answer.status}: ${await answer.text()}`)
        await answer.arrayBuffer()
        for (const node of nodes) if ((await probe(node)) === 200) accepted += 1
      }
      rows.push([count, quantile(took, 0.5).toFixed(1), quantile(took, 0.99).toFixed(1), rounds, accepted])
    } finally {
      await Promise.all(nodes.map((node) => node.stop()))
      await database.stop()
    }
  }
  bare.stop()
  return rows
}
