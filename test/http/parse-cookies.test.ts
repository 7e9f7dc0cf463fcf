import { describe, expect, it } from '@jest/globals'
import express, { type Request } from 'express'
import fc from 'fast-check'
import request from 'supertest'
import { cookieValue, cookieValues } from '../../src/http/cookies.js'
import { parseCookies } from '../../src/http/parse-cookies.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway } from '../support/gateway.js'
import { stateWith } from '../support/request-state.js'

/** Returns a request as the router hands it on. */
function parsed(cookie: string, cookies?: unknown): Request {
  const own = cookies === undefined ? {} : { cookies }
  const req = { headers: { cookie }, state: stateWith({ cookieHeader: cookie }), ...own } as Request
  parseCookies(req, {} as never, () => undefined)
  return req
}

/** Headers that hold our cookie, others, repeated ones, odd values and odd blanks. */
const name = fc.constantFrom(
  'auth_token',
  ' auth_token',
  'auth_token ',
  'AUTH_TOKEN',
  'xauth_token',
  'other',
  '__proto__',
  '',
)
const value = fc.oneof(
  fc.constantFrom(
    '',
    'a.b.c',
    '"a.b.c"',
    'j:{"a":1}',
    'j:"a"',
    's:a.b',
    '%61',
    'a=b',
    '\u00a0a.b.c\u00a0',
    ' a.b.c\t',
    '"',
    'a"b',
  ),
  fc.string({ maxLength: 6 }).map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '')),
)
const header = fc
  .array(fc.tuple(name, fc.constantFrom('=', ' = ', ''), value), { maxLength: 4 })
  .map((pairs) => pairs.map((pair) => pair.join('')).join(';'))

describe('cookies of endpoints on the router', () => {
  it('are read as on every other path, whatever the header', () => {
    let byParser = 0
    fc.assert(
      fc.property(header, (cookie) => {
        const req = parsed(cookie)
        if (req.state.parsedCookies !== undefined) byParser += 1
        expect(cookieValue(req, 'auth_token')).toBe(
          cookieValues(cookie, 'auth_token').find((one) => one !== ''),
        )
      }),
      { numRuns: 3000, seed: 7 },
    )
    expect(byParser).toBeGreaterThan(300)
  })

  it('are read by cookie-parser where it reads them alike', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.state = stateWith({ cookieHeader: req.headers.cookie })
      next()
    })
    app.get('/', parseCookies, (req, res) => {
      res.json([req.state.parsedCookies, req.cookies])
    })
    const { body } = await request(app).get('/').set('Cookie', 'theme=dark; auth_token=a.b.c')
    expect(body).toEqual([
      { theme: 'dark', auth_token: 'a.b.c' },
      { theme: 'dark', auth_token: 'a.b.c' },
    ])
  })

  it('are not taken from an embedding program’s parser', () => {
    const req = parsed('auth_token=from-the-header', { auth_token: 'from-the-program' })
    expect(cookieValue(req, 'auth_token')).toBe('from-the-header')
  })

  it.each(['"$"', '%65$', 'j:"$"'])(
    'a token as %s counts neither on a path with parameters nor on one without',
    async (form) => {
      const gateway = await startTestGateway()
      try {
        const { token } = await tokenFor(gateway.database, 'petra')
        const ask = async (path: string, cookie: string) =>
          (await fetch(`${gateway.url}${path}`, { headers: { Cookie: `auth_token=${cookie}` } })).status
        const paths = [`/admin/mandates/${mandates.acme}`, '/admin/mandates']
        expect(await Promise.all(paths.map((path) => ask(path, token)))).toEqual([200, 200])
        expect(
          await Promise.all(
            paths.map((path) =>
              ask(
                path,
                form.replace('$', () => token),
              ),
            ),
          ),
        ).toEqual([401, 401])
        expect(await Promise.all(paths.map((path) => ask(path, `${token}; auth_token=other`)))).toEqual([
          400, 400,
        ])
      } finally {
        await gateway.stop()
      }
    },
  )
})
