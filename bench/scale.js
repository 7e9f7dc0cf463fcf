/** What a request costs with many users in the directory, and what remembering one costs. */
import {
  acme,
  load,
  loginAll,
  median,
  residentBytes,
  startDatabase,
  startGateway,
  startServer,
} from './processes.js'

const viewer = '00000000-0000-4000-8000-000000000401'

/** Users with a membership in acme and its role, as many as are still missing. */
async function growTo(database, users) {
  await database.sql(
    `insert into users (username) select 'user-' || n from generate_series(1, $1::int) as n on conflict do nothing`,
    [users],
  )
  await database.sql(
    `insert into user_mandates (user_id, mandate_id)
      select id, $1
      from users
      where username like 'user-%'
      on conflict do nothing`,
    [acme],
  )
  await database.sql(
    `insert into user_mandate_roles select id, $1 from user_mandates on conflict do nothing`,
    [viewer],
  )
  await database.sql('analyze')
}

export async function measureScale({ sizes, seconds, turns, active }) {
  const bare = await startServer('bare.js')
  const databases = []
  const candidates = []
  try {
    for (const size of sizes) {
      const database = await startDatabase()
      const gateway = await startGateway(database, bare.url)
      await growTo(database, size)
      databases.push({ database, gateway })
      const users = await database.sql(
        `select id, username from users where username like 'user-%' order by md5(username) limit $1`,
        [active],
      )
      const logins = await loginAll(database, users)
      const requests = logins.map(({ token }) => ({
        method: 'GET',
        path: '/auth/permissions?context=RESOURCE&item=crm',
        headers: { cookie: `auth_token=${token}`, 'x-mandate-id': acme },
      }))
      candidates.push({ size, pid: gateway.pid, url: gateway.url, requests })
    }
    for (const candidate of candidates) await load(candidate, seconds)
    const measured = new Map(sizes.map((size) => [size, []]))
    for (let turn = 0; turn < turns; turn += 1) {
      for (const candidate of candidates)
        measured.get(candidate.size).push((await load(candidate, seconds)).micros)
    }
    const first = median(measured.get(sizes[0]))
    return sizes.map((size) => [
      size,
      median(measured.get(size)).toFixed(0),
      (first / median(measured.get(size))).toFixed(2),
    ])
  } finally {
    for (const { database, gateway } of databases) {
      await gateway.stop()
      await database.stop()
    }
    bare.stop()
  }
}

/** Resident bytes that a gateway grows by for each login that it remembers, with its place. */
export async function measureMemory({ principals }) {
  const bare = await startServer('bare.js')
  const database = await startDatabase()
  const gateway = await startGateway(database, bare.url, { COHERENCE_CACHE_ENTRIES: String(principals * 3) })
  try {
    await growTo(database, 2 * principals)
    const users = await database.sql(`select id, username from users where username like 'user-%' limit $1`, [
      2 * principals,
    ])
    const logins = await loginAll(database, users)
    const ask = async (some) => {
      for (let index = 0; index < some.length; index += 50) {
        await Promise.all(
          some.slice(index, index + 50).map(async ({ token }) => {
            const answer = await fetch(`${gateway.url}/auth/permissions?context=RESOURCE&item=crm`, {
              headers: { cookie: `auth_token=${token}`, 'x-mandate-id': acme },
            })
            if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
            await answer.arrayBuffer()
          }),
        )
      }
    }
    await ask(logins.slice(0, principals)) // the process grows to its working size
    const before = await residentBytes(gateway.pid)
    await ask(logins.slice(principals))
    return Math.round(((await residentBytes(gateway.pid)) - before) / principals)
  } finally {
    await gateway.stop()
    await database.stop()
    bare.stop()
  }
}
