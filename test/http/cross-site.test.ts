import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const app = 'https://app.example.com'

describe('a request that another site’s page makes a browser send', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { CORS_ORIGINS: app },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /optional: { upstream: own, auth: optional }
  /required: { upstream: own }
`,
    })
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const cookie = () => `Cookie: auth_token=${token}`

  /** The outcome: 'refused' for a cross-site refusal, else the status. */
  async function send(line: string, ...lines: string[]) {
    const answer = await sendLines(gateway.url, line, lines)
    if (answer.status === 403 && codeOf(answer) === 'cross_site_request') {
      expect(answer.headers).not.toHaveProperty('set-cookie')
      expect(answer.headers['cache-control']).toEqual(['no-store'])
      return 'refused'
    }
    return answer.status
  }

  describe('is refused with a cookie and an unsafe method', () => {
    it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s', async (method) => {
      for (const path of ['/required', '/optional', '/public']) {
        expect(await send(`${method} ${path}`, cookie(), 'Sec-Fetch-Site: cross-site')).toBe('refused')
        expect(await send(`${method} ${path}`, cookie(), 'Sec-Fetch-Site: same-origin')).toBe(200)
      }
    })

    it.each(['PROPPATCH', 'LOCK', 'PURGE'])('%s, which is not known to be safe', async (method) => {
      expect(await send(`${method} /public`, cookie(), 'Sec-Fetch-Site: cross-site')).toBe('refused')
    })

    it.each(['auth_token', 'refresh_token', 'portal_session'])('of the cookie %s', async (name) => {
      expect(await send('POST /public', `Cookie: other=1; ${name}=x`, 'Sec-Fetch-Site: cross-site')).toBe(
        'refused',
      )
      expect(await send('POST /public', `Cookie: other=1; ${name}x=x`, 'Sec-Fetch-Site: cross-site')).toBe(
        200,
      )
    })

    it('without a cookie of the gateway is not checked', async () => {
      expect(await send('POST /public', 'Sec-Fetch-Site: cross-site', 'Origin: https://evil.example')).toBe(
        200,
      )
      expect(await send('POST /public', 'Cookie: theme=dark', 'Sec-Fetch-Site: cross-site')).toBe(200)
    })

    it('also at logout', async () => {
      expect(await send('POST /auth/logout', cookie(), 'Sec-Fetch-Site: cross-site')).toBe('refused')
      expect(await send('GET /auth/me', cookie())).toBe(200)
    })
  })

  it.each(['GET', 'HEAD', 'OPTIONS'])('passes with the safe method %s', async (method) => {
    expect(
      await send(
        `${method} /required`,
        cookie(),
        'Sec-Fetch-Site: cross-site',
        'Origin: https://evil.example',
      ),
    ).toBe(200)
  })

  describe('Sec-Fetch-Site', () => {
    it.each(['same-origin', 'none'])('%s passes, whatever Origin says', async (site) => {
      expect(await send('POST /required', cookie(), `Sec-Fetch-Site: ${site}`)).toBe(200)
      expect(await send('POST /required', cookie(), `Sec-Fetch-Site: ${site}`, 'Origin: null')).toBe(200)
    })

    it.each(['cross-site', 'same-site', 'anything', 'same-origin, cross-site', ''])(
      '%j is refused, even with the gateway’s own Origin',
      async (site) => {
        expect(await send('POST /required', cookie(), `Sec-Fetch-Site: ${site}`)).toBe('refused')
        expect(
          await send('POST /required', cookie(), `Sec-Fetch-Site: ${site}`, `Origin: ${gateway.url}`),
        ).toBe('refused')
      },
    )

    it('sent twice is not believed', async () => {
      expect(
        await send('POST /required', cookie(), 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'),
      ).toBe('refused')
    })
  })

  describe('Origin, without Sec-Fetch-Site', () => {
    it('the gateway’s own passes', async () => {
      expect(await send('POST /required', cookie(), `Origin: ${gateway.url}`)).toBe(200)
    })

    it.each([
      'https://evil.example',
      'null',
      '',
      'http://127.0.0.1',
      'https://app.example.com.evil.example',
      'http://app.example.com',
      'https://app.example.com:8443',
    ])('%j is refused', async (origin) => {
      expect(await send('POST /required', cookie(), `Origin: ${origin}`)).toBe('refused')
    })

    it('is compared with PUBLIC_URL, never with Host or a forwarded host', async () => {
      expect(
        await send(
          'POST /required',
          cookie(),
          'Origin: http://evil.example',
          'X-Forwarded-Host: evil.example',
          'X-Forwarded-Proto: http',
        ),
      ).toBe('refused')
    })

    it('two of them are refused', async () => {
      expect(
        await send('POST /required', cookie(), `Origin: ${gateway.url}`, 'Origin: https://evil.example'),
      ).toBe('refused')
    })
  })

  it('an Origin of CORS_ORIGINS passes both checks', async () => {
    expect(await send('POST /required', cookie(), `Origin: ${app}`)).toBe(200)
    expect(await send('POST /required', cookie(), `Origin: ${app}`, 'Sec-Fetch-Site: cross-site')).toBe(200)
    expect(await send('POST /required', cookie(), `Origin: ${app}`, 'Sec-Fetch-Site: same-site')).toBe(200)
  })

  it('neither header: passes, as no browser sent it', async () => {
    expect(await send('POST /required', cookie())).toBe(200)
    expect(await send('DELETE /required', cookie())).toBe(200)
  })

  describe('a token from Authorization', () => {
    it('is not browser-ambient and not checked', async () => {
      expect(
        await send(
          'POST /required',
          `Authorization: Bearer ${token}`,
          'Sec-Fetch-Site: cross-site',
          'Origin: https://evil.example',
        ),
      ).toBe(200)
      expect(
        await send(
          'POST /required',
          `Authorization: bearer ${token}`,
          'Cookie: refresh_token=x',
          'Sec-Fetch-Site: cross-site',
        ),
      ).toBe(200)
      expect(
        await send(
          'POST /required',
          `Authorization: Bearer ${token}`,
          'Cookie: auth_token=',
          'Sec-Fetch-Site: cross-site',
        ),
      ).toBe(200)
    })

    it('does not count beside the cookie, which takes precedence', async () => {
      expect(
        await send(
          'POST /required',
          `Authorization: Bearer ${token}`,
          cookie(),
          'Sec-Fetch-Site: cross-site',
        ),
      ).toBe('refused')
    })

    it('of another scheme is no token: browsers send Basic by themselves', async () => {
      expect(
        await send(
          'POST /public',
          'Authorization: Basic YTpi',
          'Cookie: refresh_token=x',
          'Sec-Fetch-Site: cross-site',
        ),
      ).toBe('refused')
      expect(
        await send(
          'POST /public',
          'Authorization: Basic YTpi',
          'Cookie: portal_session=x',
          'Origin: https://evil.example',
        ),
      ).toBe('refused')
    })
  })

  describe('POST /auth/login, which gives out cookies, is checked even without one', () => {
    const login = (...lines: string[]) => {
      const body = JSON.stringify({ username: 'bob', password: 'demo-password-1' })
      return sendLines(
        gateway.url,
        'POST /auth/login',
        ['Content-Type: application/json', `Content-Length: ${body.length}`, ...lines],
        body,
      )
    }

    it('refused from elsewhere, before the password is looked at', async () => {
      for (const line of [
        'Sec-Fetch-Site: cross-site',
        'Sec-Fetch-Site: same-site',
        'Origin: https://evil.example',
        'Origin: null',
      ]) {
        const answer = await login(line)
        expect([line, answer.status, codeOf(answer)]).toEqual([line, 403, 'cross_site_request'])
        expect(answer.headers).not.toHaveProperty('set-cookie')
      }
    })

    it('served to the gateway’s own pages, to allowed apps and to programs', async () => {
      for (const lines of [
        [],
        ['Sec-Fetch-Site: same-origin'],
        ['Sec-Fetch-Site: none'],
        [`Origin: ${gateway.url}`],
        [`Origin: ${app}`, 'Sec-Fetch-Site: cross-site'],
      ]) {
        expect([lines, (await login(...lines)).status]).toEqual([lines, 200])
      }
    })
  })

  it('the bearer endpoint, which keeps no cookies, is open to every page', async () => {
    const body = 'grant_type=password&username=bob&password=demo-password-1'
    const answer = await sendLines(
      gateway.url,
      'POST /auth/token',
      [
        'Content-Type: application/x-www-form-urlencoded',
        `Content-Length: ${body.length}`,
        'Sec-Fetch-Site: cross-site',
        'Origin: https://evil.example',
      ],
      body,
    )
    expect(answer.status).toBe(200)
    expect(answer.headers).not.toHaveProperty('set-cookie')
  })

  it('is refused before the token is checked, and the refusal says nothing of it', async () => {
    expect(await send('POST /required', 'Cookie: auth_token=rubbish', 'Sec-Fetch-Site: cross-site')).toBe(
      'refused',
    )
    expect(
      await send('POST /required', cookie(), `X-Mandate-Id: ${mandates.acme}`, 'Sec-Fetch-Site: cross-site'),
    ).toBe('refused')
  })
})
