import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { instances, mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('a request that names its caller or its place twice', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let alice: string
  let bob: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /optional: { upstream: own, auth: optional }
  /crm: { upstream: own, mandate: required, instance: optional }
`,
    })
    alice = (await tokenFor(gateway.database, 'alice')).token
    bob = (await tokenFor(gateway.database, 'bob')).token
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function expectAmbiguous(line: string, lines: string[]) {
    const before = upstream.received.length
    const answer = await sendLines(gateway.url, line, lines)
    expect([line, lines, answer.status, codeOf(answer)]).toEqual([line, lines, 400, 'header_ambiguous'])
    expect(upstream.received).toHaveLength(before)
  }

  describe.each([
    'GET /auth/me',
    'GET /auth/context',
    'GET /healthz',
    'POST /auth/logout',
    'POST /auth/login',
    'GET /crm/x',
    'GET /public/x',
  ])('is refused: %s', (line) => {
    it('with two Authorization headers, also equal ones and in other spelling', async () => {
      await expectAmbiguous(line, [`Authorization: Bearer ${alice}`, `Authorization: Bearer ${bob}`])
      await expectAmbiguous(line, [`Authorization: Bearer ${alice}`, `AUTHORIZATION: Bearer ${alice}`])
      await expectAmbiguous(line, [`Authorization: Bearer ${alice}`, 'X-Between: 1', 'authorization:'])
    })

    it('with two mandates or two instances, also equal or empty ones', async () => {
      await expectAmbiguous(line, [
        `Authorization: Bearer ${alice}`,
        `X-Mandate-Id: ${mandates.acme}`,
        `X-Mandate-Id: ${mandates.globex}`,
      ])
      await expectAmbiguous(line, [
        `Authorization: Bearer ${alice}`,
        `X-Mandate-Id: ${mandates.acme}`,
        `x-mandate-id: ${mandates.acme}`,
      ])
      await expectAmbiguous(line, [
        `Authorization: Bearer ${alice}`,
        `X-Mandate-Id: ${mandates.acme}`,
        'X-MANDATE-ID:',
      ])
      await expectAmbiguous(line, [
        `Authorization: Bearer ${alice}`,
        `X-Instance-Id: ${instances.acmeCrm}`,
        `X-Instance-ID: ${instances.acmeCrm}`,
      ])
    })

    it('with two Host headers', async () => {
      const answer = await sendRaw(
        gateway.url,
        `${line} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`,
      )
      expect([answer.status, codeOf(answer)]).toEqual([400, 'header_ambiguous'])
    })
  })

  it.each(['GET /auth/me', 'GET /auth/context', 'GET /crm/x', 'GET /optional/x'])(
    'is refused with two auth_token cookies that differ where a token is read: %s',
    async (line) => {
      await expectAmbiguous(line, [`Cookie: auth_token=${alice}; auth_token=${bob}`])
      await expectAmbiguous(line, [`Cookie: auth_token=${alice}`, `Cookie: auth_token=${bob}`])
      await expectAmbiguous(line, [`Cookie: auth_token=${alice}; other=1; auth_token=`])
      await expectAmbiguous(line, [`Cookie: auth_token=; auth_token=${alice}`])
      await expectAmbiguous(line, [`Cookie: auth_token=${alice};auth_token =${bob}`])
    },
  )

  it('the same auth_token cookie twice is one', async () => {
    expect(
      (
        await sendLines(gateway.url, 'GET /auth/me', [
          `Cookie: auth_token=${alice}; a=1; auth_token=${alice}`,
        ])
      ).status,
    ).toBe(200)
  })

  it('two refresh_token cookies, two X-Request-Id or two of anything else are not ambiguous', async () => {
    expect(
      (
        await sendLines(gateway.url, 'GET /auth/me', [
          `Cookie: auth_token=${alice}; refresh_token=a; refresh_token=b`,
          'X-Custom: 1',
          'X-Custom: 2',
        ])
      ).status,
    ).toBe(200)
  })

  it('one mandate and one instance header, of all that is allowed, are not ambiguous', async () => {
    const answer = await sendLines(gateway.url, 'GET /crm/x', [
      `Authorization: Bearer ${alice}`,
      `X-Mandate-Id: ${mandates.acme}`,
      `X-Instance-Id: ${instances.acmeCrm}`,
    ])
    expect(answer.status).toBe(200)
  })

  it('a cookie whose name only begins or ends like auth_token is ignored', async () => {
    expect(
      (
        await sendLines(gateway.url, 'GET /auth/me', [
          `Cookie: auth_token=${alice}; xauth_token=1; auth_tokenx=2; Auth_Token=3`,
        ])
      ).status,
    ).toBe(200)
  })

  it('a cookie’s value ends where the next begins: quotes and equal signs hide nothing', async () => {
    expect((await sendLines(gateway.url, 'GET /auth/me', [`Cookie: a="; auth_token=${alice}`])).status).toBe(
      200,
    )
    expect((await sendLines(gateway.url, 'GET /auth/me', [`Cookie: a=auth_token=${alice}`])).status).toBe(401)
  })

  it('a refusal sets and clears no cookie', async () => {
    const answer = await sendLines(gateway.url, 'GET /auth/me', [
      `Cookie: auth_token=${alice}; auth_token=${bob}`,
    ])
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect((await sendLines(gateway.url, 'GET /auth/me', [`Cookie: auth_token=${alice}`])).status).toBe(200)
  })

  it('ends its connection, so that nothing behind it is read as a request', async () => {
    const twice = [
      `GET /public/x HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${alice}`,
      `Authorization: Bearer ${bob}`,
      '',
      '',
    ].join('\r\n')
    const before = upstream.received.length
    const answer = await sendRaw(
      gateway.url,
      `${twice}GET /public/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expect([answer.status, answer.headers.connection]).toEqual([400, ['close']])
    expect(answer.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(upstream.received).toHaveLength(before)
  })
})
