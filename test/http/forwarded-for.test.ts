import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines } from '../support/raw-http.js'

describe('rate limits behind a proxy that adds ports', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1', RATE_LIMIT_ADDRESS: '3/60s', RATE_LIMIT_LOGIN: '2/60s' },
    })
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('count a client once, whatever port it comes from', async () => {
    const statuses: number[] = []
    for (let port = 1000; port < 1005; port += 1)
      statuses.push(
        (await sendLines(gateway.url, 'GET /auth/me', [`X-Forwarded-For: 203.0.113.7:${port}`])).status,
      )
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    expect((await sendLines(gateway.url, 'GET /auth/me', ['X-Forwarded-For: 203.0.113.8:1000'])).status).toBe(
      401,
    )
  })

  it('count failed logins once, whatever port they come from', async () => {
    const body = '{"username":"bob","password":"wrong-password"}'
    const statuses: number[] = []
    for (let port = 1000; port < 1003; port += 1) {
      statuses.push(
        (
          await sendLines(
            gateway.url,
            'POST /auth/login',
            [
              `X-Forwarded-For: 203.0.113.9:${port}`,
              'Content-Type: application/json',
              `Content-Length: ${body.length}`,
            ],
            body,
          )
        ).status,
      )
    }
    expect(statuses).toEqual([401, 401, 429])
  })
})
