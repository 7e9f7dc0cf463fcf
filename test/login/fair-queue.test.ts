import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createFairQueue } from '../../src/login/fair-queue.js'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

/** Work that ends when it is told to. */
function held() {
  const begun: { name: string; end: () => void }[] = []
  const work = (name: string) => () =>
    new Promise<string>((resolve) => {
      begun.push({ name, end: () => resolve(name) })
    })
  const drain = async () => {
    for (const { end } of begun) {
      // which grows meanwhile
      end()
      await new Promise(setImmediate)
    }
    return begun.map(({ name }) => name)
  }
  return { work, drain }
}

it('lanes take turns: one address with much work waits for the others, not they for it', async () => {
  const queue = createFairQueue({ atATime: 1, maxWaiting: 100 })
  const { work, drain } = held()
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'].map((name) => queue.run(name.charAt(0), work(name)))
  expect(await drain()).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  await Promise.all(all)
})

it('a lane that holds all places gives its newest to another lane, and refuses more of its own', async () => {
  const queue = createFairQueue({ atATime: 1, maxWaiting: 4 })
  const { work, drain } = held()
  const results: Record<string, string> = {}
  const add = (name: string) =>
    queue.run(name.charAt(0), work(name)).then(
      () => {
        results[name] = 'done'
      },
      (error: unknown) => {
        results[name] = (error as Error).message
      },
    )
  const all = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'b1', 'c1'].map(add)
  await drain()
  await Promise.all(all)
  const refused = 'overloaded: Too many logins at once. Try again shortly.'
  expect(results).toEqual({
    a1: 'done',
    a2: 'done',
    a3: 'done',
    a4: refused,
    a5: refused,
    a6: refused,
    b1: 'done',
    c1: 'done',
  })
})

it('a lane that holds as much as any other takes no place from it', async () => {
  const queue = createFairQueue({ atATime: 1, maxWaiting: 4 })
  const { work, drain } = held()
  const all = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => queue.run(name.charAt(0), work(name)))
  await expect(queue.run('b', work('b3'))).rejects.toMatchObject({ code: 'overloaded' })
  expect(await drain()).toEqual(['a1', 'a2', 'b1', 'a3', 'b2'])
  await Promise.all(all)
})

it('goes on after work that fails', async () => {
  const queue = createFairQueue({ atATime: 1, maxWaiting: 4 })
  const failed = queue.run('a', () => Promise.reject(new Error('no')))
  const next = queue.run('a', () => Promise.resolve(7))
  await expect(failed).rejects.toThrow('no')
  expect(await next).toBe(7)
})

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { TRUST_PROXY: '1', RATE_LIMIT_LOGIN: '10/60s' } })
})
afterAll(async () => {
  await gateway.stop()
})

const logIn = async (username: string, password: string, address: string) => {
  const begin = performance.now()
  const { status, headers, text } = await sendRequest(gateway.url, '/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
    body: JSON.stringify({ username, password }),
  })
  return { status, headers, ms: performance.now() - begin, body: JSON.parse(text) as { code?: string } }
}

it('the owner signs in within 2 s while four addresses try passwords as fast as they can', async () => {
  const state = { open: true }
  let [tried, limited, names] = [0, 0, 0]
  const attack = async (address: string) => {
    while (state.open) {
      const { status } = await logIn(`invented-${(names += 1)}`, 'wrong', address)
      tried += 1
      if (status === 429) {
        limited += 1
        // it has been shut out: what is measured is what comes before
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
  const attackers = Array.from({ length: 100 }, (_, index) => attack(`198.51.100.${index % 4}`))
  try {
    const owner = []
    for (let count = 0; count < 6; count += 1)
      owner.push(await logIn('alice', 'demo-password-1', '203.0.113.9'))
    expect(owner.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    expect(owner.map(({ ms }) => ms).sort((a, b) => a - b)[3]).toBeLessThan(2000) // the machine may stop once
    expect(tried - limited).toBeGreaterThan(10)
  } finally {
    state.open = false
    await Promise.all(attackers)
  }
}, 60_000)
