import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('the client’s address', () => {
  let database: TestDatabase
  let upstream: Upstream
  let gateway: TestGateway | undefined
  beforeAll(async () => {
    ;[database, upstream] = [await createTestDatabase(), await startUpstream()]
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  afterAll(async () => {
    await upstream.stop()
    await database.drop()
  })

  /**
   * The addresses that an upstream is told, and the one that a login's session keeps, for each
   * X-Forwarded-For.
   */
  async function seen(trustProxy: number, forwarded: (string | undefined)[]) {
    gateway = await startTestGateway({
      database,
      environment: { TRUST_PROXY: String(trustProxy) },
      routes:
        `{ upstreams: { own: { targets: ['${upstream.url}'] } }, routes: { ` +
        '/public: { upstream: own, auth: public } } }',
    })
    const answers: [string | undefined, string, string | undefined][] = []
    for (const line of forwarded) {
      const lines = line === undefined ? [] : line.split('|').map((one) => `X-Forwarded-For: ${one}`)
      await sendLines(gateway.url, 'GET /public', lines)
      const body = JSON.stringify({ username: 'bob', password: 'demo-password-1' })
      await sendLines(
        gateway.url,
        'POST /auth/login',
        ['Content-Type: application/json', `Content-Length: ${body.length}`, ...lines],
        body,
      )
      const [session] = await database.sql<{ address: string }>(
        'select address from sessions order by created_at desc limit 1',
      )
      answers.push([line, String(upstream.last().headers['x-forwarded-for']), session?.address])
    }
    return answers
  }

  it('with TRUST_PROXY=0 is that of the connection', async () => {
    expect(await seen(0, [undefined, '203.0.113.1', '6.6.6.6, 203.0.113.1', 'rubbish'])).toEqual([
      [undefined, '127.0.0.1', '127.0.0.1'],
      ['203.0.113.1', '127.0.0.1', '127.0.0.1'],
      ['6.6.6.6, 203.0.113.1', '127.0.0.1', '127.0.0.1'],
      ['rubbish', '127.0.0.1', '127.0.0.1'],
    ])
  })

  it('with TRUST_PROXY=1 is what the one proxy saw', async () => {
    expect(
      await seen(1, [
        undefined,
        '203.0.113.1',
        '6.6.6.6, 203.0.113.1',
        '6.6.6.6|203.0.113.1',
        '6.6.6.6,,  203.0.113.1',
      ]),
    ).toEqual([
      [undefined, '127.0.0.1', '127.0.0.1'],
      ['203.0.113.1', '203.0.113.1, 127.0.0.1', '203.0.113.1'],
      ['6.6.6.6, 203.0.113.1', '203.0.113.1, 127.0.0.1', '203.0.113.1'],
      ['6.6.6.6|203.0.113.1', '203.0.113.1, 127.0.0.1', '203.0.113.1'],
      ['6.6.6.6,,  203.0.113.1', '203.0.113.1, 127.0.0.1', '203.0.113.1'],
    ])
  })

  it('with TRUST_PROXY=2 is what the outer of two proxies saw', async () => {
    expect(
      await seen(2, ['203.0.113.1, 10.0.0.1', '6.6.6.6, 203.0.113.1, 10.0.0.1', '203.0.113.1', undefined]),
    ).toEqual([
      ['203.0.113.1, 10.0.0.1', '203.0.113.1, 10.0.0.1, 127.0.0.1', '203.0.113.1'],
      ['6.6.6.6, 203.0.113.1, 10.0.0.1', '203.0.113.1, 10.0.0.1, 127.0.0.1', '203.0.113.1'],
      ['203.0.113.1', '203.0.113.1, 127.0.0.1', '203.0.113.1'],
      [undefined, '127.0.0.1', '127.0.0.1'],
    ])
  })
})
