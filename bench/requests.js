/**
 * Throughput and server CPU per request: all candidates in turn, several times, so that a noisy machine is as
 * unfair to one as to another. Ratios are of the CPU time, which swings less than throughput.
 */
import { acme, alice, load, loginAll, median, startDatabase, startGateway, startServer } from './processes.js'

export async function measureRequests({ seconds, turns }) {
  const database = await startDatabase()
  const bare = await startServer('bare.js')
  const express = await startServer('express.js')
  const stream = await startServer('undici-proxy.js', [bare.url, 'stream'])
  const dispatch = await startServer('undici-proxy.js', [bare.url, 'dispatch'])
  const gateway = await startGateway(database, bare.url)
  const [{ token }] = await loginAll(database, [{ id: alice, username: 'alice' }])
  const headers = { cookie: `auth_token=${token}`, 'x-mandate-id': acme }
  // All get the same request: a head with a cookie costs whoever parses it.
  const candidates = [
    { name: 'bare node:http', ...bare, headers },
    { name: 'stock Express 5', ...express, headers },
    { name: 'node:http + undici (stream)', ...stream, headers },
    { name: 'node:http + undici (dispatch)', ...dispatch, headers },
    {
      name: 'gateway, answered itself',
      ...gateway,
      headers,
      url: `${gateway.url}/auth/permissions?context=RESOURCE&item=crm.contacts`,
    },
    { name: 'gateway, forwarded', ...gateway, headers, url: `${gateway.url}/api/crm/contacts` },
  ]
  try {
    for (const candidate of candidates) await load(candidate, seconds) // warm-up
    const measured = new Map(candidates.map(({ name }) => [name, []]))
    for (let turn = 0; turn < turns; turn += 1) {
      for (const candidate of candidates) measured.get(candidate.name).push(await load(candidate, seconds))
    }
    const of = (name, field) => median(measured.get(name).map((one) => one[field]))
    const ratio = (base, name) => (of(base, 'micros') / of(name, 'micros')).toFixed(2)
    const rows = candidates.map(({ name }) => [
      name,
      of(name, 'micros').toFixed(0),
      of(name, 'perSecond').toFixed(0),
      of(name, 'p99'),
      ratio('bare node:http', name),
      ratio('stock Express 5', name),
      ratio('node:http + undici (stream)', name),
      ratio('node:http + undici (dispatch)', name),
    ])
    const statements = await statementsOf(database, candidates.at(-1), seconds)
    return { rows, statements, turns, seconds }
  } finally {
    for (const server of [bare, express, stream, dispatch]) server.stop()
    await gateway.stop()
    await database.stop()
  }
}

/**
 * Transactions that the database ran while nothing came and while requests did, in as many seconds. Its
 * counters lag by a second.
 */
async function statementsOf(database, candidate, seconds) {
  const count = async () => {
    await new Promise((resolve) => {
      setTimeout(resolve, 1500)
    })
    const [row] = await database.sql(
      `select xact_commit + xact_rollback as n from pg_stat_database where datname = current_database()`,
    )
    return Number(row.n)
  }
  const start = await count()
  await new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000)
  })
  const idle = await count()
  const { count: requests } = await load(candidate, seconds)
  const loaded = await count()
  return { requests, idle: idle - start, loaded: loaded - idle }
}
