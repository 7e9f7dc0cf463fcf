/**
 * `npm run soak -- [--minutes 30]`: two nodes on one database under mixed good and bad traffic, at half of
 * what they take. Prints a line each minute; ends with 1 where an answer was not the one that is due, a
 * revoked token was let in, a node ended, memory grew, or requests became slower.
 */
import { once, setMaxListeners } from 'node:events'
import { readdir } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  acme,
  alice,
  loginAll,
  median,
  quantile,
  residentBytes,
  root,
  startDatabase,
  startGateway,
  startServer,
} from './processes.js'

const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '30' } } })
const minutes = Number(options.minutes)
const bob = '00000000-0000-4000-8000-000000000004'
const globex = '00000000-0000-4000-8000-000000000102'
const stranger = '00000000-0000-4000-8000-00000000ffff'
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

/** One request; answers its status, or the code of what broke it. */
function ask(url, path, { method = 'GET', headers = {}, body, abort = false } = {}) {
  return new Promise((resolve) => {
    const request = http.request(url + path, { method, headers, agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', ({ code }) => resolve(abort ? 'aborted' : code))
    })
    request.on('error', ({ code }) => resolve(abort ? 'aborted' : code))
    request.end(body)
    if (abort) setImmediate(() => request.destroy())
  })
}

/** What is no HTTP at all; answers the status that was given before the connection ended. */
async function babble(url) {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', () => undefined)
  socket.end('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n')
  await once(socket, 'close')
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])
}

/** Sends a head that never ends, a byte a second, as long as it is let. */
async function dawdle(url, signal) {
  while (!signal.aborted) {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    socket.write('GET /api/crm/contacts HTTP/1.1\r\nHost: a\r\nX-Slow: ')
    const closed = once(socket, 'close')
    const dripping = setInterval(() => socket.write('a'), 1000)
    await Promise.race([closed, once(signal, 'abort').catch(() => undefined)])
    clearInterval(dripping)
    socket.destroy()
  }
}

/** Kinds of traffic, each with its share and the status that is due. */
function traffic({ good, revoked }) {
  const cookie = { cookie: `auth_token=${good}`, 'x-mandate-id': acme }
  const bearer = (token, mandate = acme) => ({ authorization: `Bearer ${token}`, 'x-mandate-id': mandate })
  const json = { 'content-type': 'application/json' }
  const kinds = [
    {
      name: 'forwarded',
      share: 50,
      due: 200,
      isGood: true,
      send: (url) => ask(url, '/api/crm/contacts', { headers: cookie }),
    },
    {
      name: 'answered itself',
      share: 20,
      due: 200,
      isGood: true,
      send: (url) => ask(url, '/auth/permissions?context=RESOURCE&item=crm.contacts', { headers: cookie }),
    },
    {
      name: 'forwarded with a body',
      share: 5,
      due: 200,
      isGood: true,
      send: (url) =>
        ask(url, '/api/crm/contacts', {
          method: 'POST',
          headers: { ...bearer(good), ...json },
          body: JSON.stringify({ text: 'x'.repeat(8000) }),
        }),
    },
    {
      name: 'revoked token',
      share: 5,
      due: 401,
      send: (url) => ask(url, '/api/crm/contacts', { headers: bearer(revoked) }),
    },
    { name: 'no token', share: 3, due: 401, send: (url) => ask(url, '/api/crm/contacts') },
    {
      name: 'a token that is none',
      share: 3,
      due: 401,
      send: (url) =>
        ask(url, '/auth/me', {
          headers: bearer(`${good.slice(0, -4)}${Math.random().toString(36).slice(2, 6)}`),
        }),
    },
    {
      name: 'a mandate of others',
      share: 3,
      due: 403,
      send: (url) => ask(url, '/api/crm/contacts', { headers: bearer(good, stranger) }),
    },
    {
      name: 'not permitted',
      share: 3,
      due: 403,
      send: (url) =>
        ask(url, '/api/crm/contacts', {
          method: 'POST',
          headers: { ...bearer(good, globex), ...json },
          body: '{}',
        }),
    },
    {
      name: 'no such path',
      share: 2,
      due: 404,
      send: (url) => ask(url, `/none/${Math.random()}`, { headers: bearer(good) }),
    },
    {
      name: 'a head that is too large',
      share: 1,
      due: 431,
      send: (url) => ask(url, '/auth/me', { headers: { 'x-large': 'x'.repeat(40_000) } }),
    },
    {
      name: 'deep JSON',
      share: 1,
      due: 400,
      send: (url) => ask(url, '/auth/login', { method: 'POST', headers: json, body: '['.repeat(20_000) }),
    },
    { name: 'ambiguous framing', share: 1, due: 400, send: babble },
    {
      name: 'given up',
      share: 2,
      due: 'aborted',
      send: (url) => ask(url, '/api/crm/contacts', { headers: cookie, abort: true }),
    },
  ]
  return kinds.flatMap((kind) => Array.from({ length: kind.share }, () => kind))
}

const report = { requests: 0, unexpected: new Map(), accepted: 0, revocations: 0, times: [] }

async function sendOne(kinds, nodes) {
  const kind = kinds[Math.floor(Math.random() * kinds.length)]
  const begin = performance.now()
  const status = await kind.send(nodes[Math.floor(Math.random() * nodes.length)].url)
  report.requests += 1
  if (kind.isGood) report.times.push(performance.now() - begin)
  const isDue =
    status === kind.due ||
    (kind.due === 'aborted' && status === 200) ||
    (kind.due === 431 && status === 'ECONNRESET') ||
    (kind.due === 431 && status === 'EPIPE')
  if (!isDue)
    report.unexpected.set(
      `${kind.name}: ${status}`,
      (report.unexpected.get(`${kind.name}: ${status}`) ?? 0) + 1,
    )
}

/** As many requests a second as are wanted; without a number as many as `together` at a time come to. */
async function load(kinds, nodes, signal, perSecond) {
  const together = 32
  if (perSecond === undefined) {
    await Promise.all(
      Array.from({ length: together }, async () => {
        while (!signal.aborted) await sendOne(kinds, nodes)
      }),
    )
    return
  }
  let [sent, underWay] = [0, 0]
  const begin = performance.now()
  while (!signal.aborted) {
    const due = ((performance.now() - begin) / 1000) * perSecond
    for (; sent < due && underWay < 500; sent += 1) {
      underWay += 1
      void sendOne(kinds, nodes).finally(() => {
        underWay -= 1
      })
    }
    await wait(5)
  }
}

/** Revokes a login each second, and tries it at the other node when that has answered. */
async function revoke(database, nodes, rootToken, signal) {
  for (let turn = 0; !signal.aborted; turn += 1) {
    const [{ token, jti }] = await loginAll(database, [{ id: bob, username: 'bob' }])
    const [one, other] = [nodes[turn % 2].url, nodes[(turn + 1) % 2].url]
    await ask(other, '/auth/me', { headers: { authorization: `Bearer ${token}` } }) // which remembers it
    const answer = await ask(one, `/system/tokens/${jti}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${rootToken}` },
    })
    if (answer !== 200)
      report.unexpected.set(
        `revocation: ${answer}`,
        (report.unexpected.get(`revocation: ${answer}`) ?? 0) + 1,
      )
    else
      for (const url of [one, other])
        if ((await ask(url, '/auth/me', { headers: { authorization: `Bearer ${token}` } })) !== 401)
          report.accepted += 1
    report.revocations += 1
    await wait(1000)
  }
}

async function metricOf({ url }, name) {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1])
}

const mb = (bytes) => (bytes / 1e6).toFixed(0)

const upstream = await startServer('bare.js')
const database = await startDatabase()
const nodes = [await startGateway(database, upstream.url), await startGateway(database, upstream.url)]
const [{ token: good }, { token: revoked, jti }, { token: rootToken }] = await loginAll(database, [
  { id: alice, username: 'alice' },
  { id: alice, username: 'alice' },
  { id: root, username: 'root' },
])
await database.sql(`update tokens set status = 'revoked' where id = $1`, [jti])
const kinds = traffic({ good, revoked })
const samples = []
try {
  await load(kinds, nodes, AbortSignal.timeout(3000)) // warm
  report.requests = 0
  await load(kinds, nodes, AbortSignal.timeout(10_000))
  const perSecond = Math.round(report.requests / 10 / 2)
  console.log(`${perSecond} requests/s, half of what the two nodes took with the load on the same machine\n`)
  console.log(
    '| minute | requests | p50 ms | p99 ms | resident MB | heap MB | open files ' +
      '|\n| --- | --- | --- | --- | --- | --- | --- |',
  )
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  const running = [
    load(kinds, nodes, ending.signal, perSecond),
    revoke(database, nodes, rootToken, ending.signal),
    ...Array.from({ length: 20 }, (_, index) => dawdle(nodes[index % 2].url, ending.signal)),
  ]
  for (let minute = 1; minute <= minutes; minute += 1) {
    report.requests = 0
    report.times = []
    await wait(60_000)
    const times = report.times
    const sample = {
      p50: median(times),
      p99: quantile(times, 0.99),
      resident: await Promise.all(nodes.map(({ pid }) => residentBytes(pid))),
      heap: await Promise.all(nodes.map((node) => metricOf(node, 'nodejs_heap_size_used_bytes'))),
      files: await Promise.all(nodes.map(async ({ pid }) => (await readdir(`/proc/${pid}/fd`)).length)),
    }
    samples.push(sample)
    console.log(
      `| ${minute} | ${report.requests} | ${sample.p50.toFixed(1)} | ` +
        `${sample.p99.toFixed(1)} | ${sample.resident.map(mb).join(', ')} | ` +
        `${sample.heap.map(mb).join(', ')} | ${sample.files.join(', ')} |`,
    )
  }
  ending.abort()
  await Promise.all(running)
} finally {
  const ended = await Promise.all(nodes.map((node) => node.stop()))
  upstream.stop()
  await database.stop()
  agent.destroy()
  for (const code of ended) if (code !== 0) report.unexpected.set(`a node ended with ${code}`, 1)
}

/** From the first third, without the first minute, to the last: what a leak would raise. */
const third = Math.max(1, Math.floor(samples.length / 3))
const [early, late] = [samples.slice(samples.length > 3 ? 1 : 0, third + 1), samples.slice(-third)]
const growth = (of) => median(late.map(of)) / median(early.map(of))
const resident = nodes.map((_, index) => growth((sample) => sample.resident[index]))
const slower = growth((sample) => sample.p99)
const faults = [
  ...[...report.unexpected].map(([what, count]) => `${what} (${count})`),
  ...(report.accepted > 0 ? [`${report.accepted} revoked tokens were let in`] : []),
  ...(resident.some((one) => one > 1.15) ? ['resident memory grew'] : []),
  ...(slower > 2 ? ['p99 grew'] : []),
]
console.log(
  `\n${report.revocations} revocations, ${report.accepted} accepted afterwards; ` +
    'from the first third to the last: resident ' +
    `${resident.map((one) => one.toFixed(2)).join(', ')}, p99 ${slower.toFixed(2)}`,
)
console.log(faults.length > 0 ? `faults: ${faults.join('; ')}` : 'no faults')
process.exitCode = faults.length > 0 ? 1 : 0
