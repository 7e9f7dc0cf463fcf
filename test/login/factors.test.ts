import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { openBrowser, type Browser } from '../support/browser.js'
import { tokenFor, users, type DemoUser } from '../support/demo.js'
import { addPasskey, addTotp, bodyOf, codeOf, handleOf } from '../support/factors.js'
import { makePasskey } from '../support/authenticator.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { bearer, postJson, sendRequest, statusAndCode } from '../support/http-client.js'

describe('second factors', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterEach(async () => {
    await gateway.database.sql(
      'truncate user_factors, pending_totp, recovery_codes, factor_challenges, factor_failures',
    )
  })
  afterAll(() => gateway.stop())

  const signedIn = async (user: DemoUser = 'alice') => {
    const browser = openBrowser(gateway.url)
    expect((await browser.logIn(user)).status).toBe(200)
    return browser
  }
  const challenged = async (user: DemoUser = 'alice') => {
    const browser = openBrowser(gateway.url)
    const answer = await browser.logIn(user)
    expect(statusAndCode(answer)).toEqual([401, 'second_factor_required'])
    return { browser, ...bodyOf(answer) }
  }
  const answer = (browser: Browser, challenge: string, one: object) =>
    browser.send('POST', '/auth/login/factor', { challenge, ...one })
  const audited = async (action: string) =>
    (await gateway.database.sql('select from audit_events where action = $1', [action])).length

  describe('authenticator apps', () => {
    it('count once a code confirms them, and the first one brings ten recovery codes', async () => {
      const alice = await signedIn()
      const begun = await alice.send('POST', '/auth/factors/totp', { label: 'phone' })
      const { id, secret, uri } = bodyOf(begun)
      expect([begun.status, uri]).toEqual([201, expect.stringMatching(/^otpauth:\/\/totp\/.*alice/)])
      expect((await openBrowser(gateway.url).logIn('alice')).status).toBe(200)
      const confirm = (code: string) => alice.send('POST', `/auth/factors/totp/${id}/confirm`, { code })
      expect(statusAndCode(await confirm('000000'))).toEqual([401, 'factor_invalid'])
      const added = bodyOf(await confirm(codeOf(secret)))
      expect(added).toMatchObject({ id, kind: 'totp', label: 'phone', lastUsedAt: null })
      expect(new Set(added.recoveryCodes).size).toBe(10)
      expect(bodyOf(await alice.send('GET', '/auth/factors'))).toMatchObject({
        items: [{ id, kind: 'totp' }],
        recoveryCodesLeft: 10,
      })
      await challenged()
      expect(await audited('factor_added')).toBeGreaterThan(0)
    })

    it('let their owner in after the password, and the session knows how it was proved', async () => {
      const { secret } = await addTotp(await signedIn())
      const { browser, challenge, factors, passkey } = await challenged()
      expect([factors, passkey]).toEqual([['totp'], null])
      const entered = await answer(browser, challenge, { code: codeOf(secret) })
      expect([entered.status, bodyOf(entered).user.username]).toEqual([200, 'alice'])
      const [session] = await gateway.database.sql(
        `select amr, auth_time is not null as auth, mfa_at is not null as mfa, phr_at
           from sessions order by created_at desc limit 1`,
      )
      expect(session).toEqual({ amr: ['pwd', 'otp', 'mfa'], auth: true, mfa: true, phr_at: null })
    })

    it('accept codes one step either way, and none of two steps away', async () => {
      const { secret } = await addTotp(await signedIn())
      await gateway.database.sql('update user_factors set last_step = null')
      for (const [steps, status] of [
        [-2, 401],
        [2, 401],
        [-1, 200],
        [0, 200],
        [1, 200],
      ] as const) {
        const { browser, challenge } = await challenged()
        expect([steps, (await answer(browser, challenge, { code: codeOf(secret, steps) })).status]).toEqual([
          steps,
          status,
        ])
      }
    })

    it('accept no code twice, none before the last accepted one, and not the confirming one', async () => {
      const { secret } = await addTotp(await signedIn())
      const enter = async (steps: number) => {
        const { browser, challenge } = await challenged()
        return (await answer(browser, challenge, { code: codeOf(secret, steps) })).status
      }
      expect(await enter(-1)).toBe(401) // it confirmed
      expect([await enter(0), await enter(0), await enter(-1)]).toEqual([200, 401, 401])
    })

    it('of two who send one code at once, one wins', async () => {
      const { secret } = await addTotp(await signedIn())
      const both = await Promise.all([challenged(), challenged()])
      const code = codeOf(secret)
      const statuses = await Promise.all(
        both.map(async ({ browser, challenge }) => (await answer(browser, challenge, { code })).status),
      )
      expect(statuses.sort()).toEqual([200, 401])
    })

    it('store their secret sealed, and it reaches no log', async () => {
      const { secret } = await addTotp(await signedIn())
      const [row] = await gateway.database.sql<{ sealed_secret: string }>('select * from user_factors')
      expect(JSON.stringify(row)).not.toContain(secret)
      expect(gateway.logLines.join('\n')).not.toContain(secret)
    })
  })

  describe('the challenge of a login', () => {
    it('is answered once', async () => {
      const { secret, recoveryCodes } = await addTotp(await signedIn())
      const { browser, challenge } = await challenged()
      expect((await answer(browser, challenge, { code: codeOf(secret) })).status).toBe(200)
      expect(statusAndCode(await answer(browser, challenge, { recoveryCode: recoveryCodes[0] }))).toEqual([
        401,
        'factor_invalid',
      ])
    })

    it('ends with five wrong answers', async () => {
      const { secret, recoveryCodes } = await addTotp(await signedIn())
      const { browser, challenge } = await challenged()
      for (let n = 0; n < 5; n += 1)
        expect((await answer(browser, challenge, { code: '000000' })).status).toBe(401)
      expect((await answer(browser, challenge, { code: codeOf(secret) })).status).toBe(401)
      expect((await answer(browser, challenge, { recoveryCode: recoveryCodes[0] })).status).toBe(401)
      expect(await audited('factor_failed')).toBeGreaterThan(0)
    })

    it('is void once the password has changed', async () => {
      const { secret } = await addTotp(await signedIn('bob'))
      const { browser, challenge } = await challenged('bob')
      const [{ password_hash: before }] = (await gateway.database.sql<{ password_hash: string }>(
        'select password_hash from users where id = $1',
        [users.bob],
      )) as [{ password_hash: string }]
      await gateway.database.sql(`update users set password_hash = 'another' where id = $1`, [users.bob])
      expect((await answer(browser, challenge, { code: codeOf(secret) })).status).toBe(401)
      await gateway.database.sql('update users set password_hash = $2 where id = $1', [users.bob, before])
    })

    it('is refused where somebody invented it, and in place of another', async () => {
      const alice = await signedIn()
      const { secret } = await addTotp(alice)
      expect((await answer(alice, 'invented', { code: codeOf(secret) })).status).toBe(401)
      const asked = bodyOf(await alice.send('POST', '/auth/step-up/options', {}))
      expect((await answer(alice, asked.challenge, { code: codeOf(secret) })).status).toBe(401)
    })

    it('takes exactly one answer', async () => {
      await addTotp(await signedIn())
      const { browser, challenge } = await challenged()
      for (const one of [{}, { code: '000000', recoveryCode: 'x' }])
        expect(statusAndCode(await answer(browser, challenge, one))).toEqual([400, 'validation_failed'])
    })
  })

  describe('recovery codes', () => {
    it('let their owner in once each, in any spelling, and are counted', async () => {
      const { recoveryCodes } = await addTotp(await signedIn())
      const code = recoveryCodes[0]!
      const enter = async (recoveryCode: string) => {
        const { browser, challenge } = await challenged()
        return { browser, status: (await answer(browser, challenge, { recoveryCode })).status }
      }
      const { browser, status } = await enter(` ${code.toLowerCase().replaceAll('-', ' ')} `)
      expect([status, (await enter(code)).status]).toEqual([200, 401])
      expect(bodyOf(await browser.send('GET', '/auth/factors')).recoveryCodesLeft).toBe(9)
      expect(await audited('recovery_code_used')).toBe(1)
    })

    it('die when new ones are made', async () => {
      const alice = await signedIn()
      const { secret, recoveryCodes } = await addTotp(alice)
      expect((await alice.send('POST', '/auth/step-up', { code: codeOf(secret) })).status).toBe(200)
      const made = await alice.send('POST', '/auth/factors/recovery-codes')
      expect([made.status, bodyOf(made).recoveryCodes.length]).toEqual([200, 10])
      const { browser, challenge } = await challenged()
      expect((await answer(browser, challenge, { recoveryCode: recoveryCodes[1] })).status).toBe(401)
      expect((await answer(browser, challenge, { recoveryCode: bodyOf(made).recoveryCodes[0] })).status).toBe(
        200,
      )
    })

    it('are stored as hashes', async () => {
      const { recoveryCodes } = await addTotp(await signedIn())
      const rows = await gateway.database.sql('select code_hash from recovery_codes')
      expect(JSON.stringify(rows)).not.toContain(recoveryCodes[0])
      expect(rows).toHaveLength(10)
    })
  })

  describe('grant_type=password', () => {
    const token = (body: object) =>
      postJson(gateway.url, '/auth/token', {
        grant_type: 'password',
        username: 'alice',
        password: 'demo-password-1',
        ...body,
      })

    it('asks for otp, takes either code, and looks at it after the password', async () => {
      const { secret, recoveryCodes } = await addTotp(await signedIn())
      const errorOf = async (body: object) => bodyOf(await token(body)).error
      expect(await errorOf({})).toBe('mfa_required')
      expect(await errorOf({ otp: '000000' })).toBe('invalid_grant')
      expect(bodyOf(await token({ password: 'wrong', otp: codeOf(secret) })).error).toBe('invalid_grant')
      expect((await token({ otp: codeOf(secret) })).status).toBe(200)
      expect((await token({ otp: recoveryCodes[0] })).status).toBe(200)
    })
  })

  describe('passkeys', () => {
    const signInBy = async (
      use: (options: { challenge: string }) => unknown,
      browser = openBrowser(gateway.url),
    ) => {
      const { challenge, options } = bodyOf(await browser.send('POST', '/auth/passkey/options', {}))
      const response = use(options)
      return {
        challenge,
        response,
        answer: await browser.send('POST', '/auth/passkey', { challenge, response }),
      }
    }

    it.each(['ES256', 'EdDSA', 'RS256'] as const)('of %s sign their owner in alone', async (algorithm) => {
      const passkey = await addPasskey(
        await signedIn(),
        { url: gateway.url, userId: users.alice },
        { algorithm },
      )
      const { answer: entered } = await signInBy(passkey.use)
      expect([entered.status, bodyOf(entered).user.username]).toEqual([200, 'alice'])
      const [session] = await gateway.database.sql(
        `select amr, auth_time = mfa_at and mfa_at = phr_at as all
           from sessions order by created_at desc limit 1`,
      )
      expect(session).toEqual({ amr: ['swk', 'mfa'], all: true })
    })

    it('of another algorithm are not enrolled', async () => {
      const alice = await signedIn()
      const { challenge, options } = bodyOf(await alice.send('POST', '/auth/factors/passkeys/options', {}))
      expect(options).toMatchObject({
        attestation: 'none',
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        user: { id: handleOf(users.alice) },
      })
      const site = { rpId: options.rp.id, origin: gateway.url, userHandle: options.user.id }
      const response = makePasskey(site, { algorithm: 'ES384' }).create(options)
      expect(
        statusAndCode(
          await alice.send('POST', '/auth/factors/passkeys', { label: 'x', challenge, response }),
        ),
      ).toEqual([401, 'factor_invalid'])
    })

    it('are refused from another page, unverified, for another challenge, or with a lower counter', async () => {
      const passkey = await addPasskey(await signedIn(), { url: gateway.url, userId: users.alice })
      for (const bent of [
        { origin: 'https://evil.example' },
        { rpId: 'evil.example' },
        { isVerified: false },
        { challenge: 'AAAA' },
        { type: 'webauthn.create' },
        { counter: 1 },
        { userHandle: handleOf(users.bob) },
        { userHandle: null },
      ]) {
        const { answer: refused } = await signInBy((options) => passkey.use(options, bent))
        expect([bent, ...statusAndCode(refused)]).toEqual([bent, 401, 'factor_invalid'])
      }
      expect((await signInBy(passkey.use)).answer.status).toBe(200)
    })

    it('whose counter stays 0 are accepted', async () => {
      const passkey = await addPasskey(
        await signedIn(),
        { url: gateway.url, userId: users.alice },
        { counts: false, isHardware: true },
      )
      expect((await signInBy(passkey.use)).answer.status).toBe(200)
      expect((await signInBy(passkey.use)).answer.status).toBe(200)
    })

    it('answer a challenge once, also of two at once', async () => {
      const passkey = await addPasskey(
        await signedIn(),
        { url: gateway.url, userId: users.alice },
        { counts: false },
      )
      const { challenge, response, answer: first } = await signInBy(passkey.use)
      expect(first.status).toBe(200)
      const again = await openBrowser(gateway.url).send('POST', '/auth/passkey', { challenge, response })
      expect(statusAndCode(again)).toEqual([401, 'factor_invalid'])
    })

    it('do not answer a challenge of another purpose', async () => {
      const alice = await signedIn()
      const passkey = await addPasskey(alice, { url: gateway.url, userId: users.alice })
      const { challenge, options } = bodyOf(await alice.send('POST', '/auth/step-up/options', {}))
      const response = passkey.use(options)
      expect((await alice.send('POST', '/auth/passkey', { challenge, response })).status).toBe(401)
    })

    it('are the second factor of a login, of their own user only', async () => {
      const alices = await addPasskey(await signedIn(), { url: gateway.url, userId: users.alice })
      const bobs = await addPasskey(await signedIn('bob'), { url: gateway.url, userId: users.bob })
      const { browser, challenge, factors, passkey } = await challenged()
      expect(factors).toEqual(['passkey'])
      expect(passkey.allowCredentials.map(({ id }: { id: string }) => id)).toEqual([alices.id])
      expect((await answer(browser, challenge, { response: bobs.use(passkey) })).status).toBe(401)
      expect((await answer(browser, challenge, { response: alices.use(passkey) })).status).toBe(200)
    })

    it('of another user cannot be enrolled', async () => {
      const passkey = await addPasskey(await signedIn(), { url: gateway.url, userId: users.alice })
      const bob = await signedIn('bob')
      const { challenge, options } = bodyOf(await bob.send('POST', '/auth/factors/passkeys/options', {}))
      const response = passkey.create(options)
      expect(
        statusAndCode(await bob.send('POST', '/auth/factors/passkeys', { label: 'x', challenge, response })),
      ).toEqual([409, 'conflict'])
    })

    it('cannot be enrolled by a challenge of somebody else', async () => {
      const { challenge, options } = bodyOf(
        await (await signedIn()).send('POST', '/auth/factors/passkeys/options', {}),
      )
      const site = { rpId: options.rp.id, origin: gateway.url, userHandle: handleOf(users.bob) }
      const response = makePasskey(site).create(options)
      const added = await (
        await signedIn('bob')
      ).send('POST', '/auth/factors/passkeys', {
        label: 'x',
        challenge,
        response,
      })
      expect(statusAndCode(added)).toEqual([401, 'factor_invalid'])
    })

    it('of a disabled user let nobody in', async () => {
      const passkey = await addPasskey(await signedIn('bob'), { url: gateway.url, userId: users.bob })
      await gateway.database.sql('update users set enabled = false where id = $1', [users.bob])
      expect(statusAndCode((await signInBy(passkey.use)).answer)).toEqual([403, 'user_disabled'])
      await gateway.database.sql('update users set enabled = true where id = $1', [users.bob])
    })
  })

  describe('removing factors', () => {
    it('ends the user’s other sessions, and the codes go with the last factor', async () => {
      const [alice, phone] = [await signedIn(), await signedIn()]
      const { id, secret } = await addTotp(alice)
      expect((await alice.send('POST', '/auth/step-up', { code: codeOf(secret) })).status).toBe(200)
      const removed = await alice.send('DELETE', `/auth/factors/${id}`)
      expect([removed.status, bodyOf(removed).coherence.fenced]).toEqual([200, 0])
      expect((await phone.send('GET', '/auth/me')).status).toBe(401)
      expect((await alice.send('GET', '/auth/me')).status).toBe(200)
      expect(bodyOf(await alice.send('GET', '/auth/factors'))).toEqual({ items: [], recoveryCodesLeft: 0 })
      expect((await openBrowser(gateway.url).logIn('alice')).status).toBe(200)
    })

    it('is refused for the last way in, and for what is somebody else’s', async () => {
      const bob = await signedIn('bob')
      const passkey = await addPasskey(bob, { url: gateway.url, userId: users.bob })
      const { challenge, options } = bodyOf(await bob.send('POST', '/auth/step-up/options', {}))
      expect(
        (await bob.send('POST', '/auth/step-up', { challenge, response: passkey.use(options) })).status,
      ).toBe(200)
      expect((await bob.send('DELETE', `/auth/factors/${randomUUID()}`)).status).toBe(404)
      const alice = await signedIn()
      expect((await alice.send('DELETE', `/auth/factors/${passkey.factorId}`)).status).toBe(404)
      const [{ password_hash: before }] = (await gateway.database.sql<{ password_hash: string }>(
        'select password_hash from users where id = $1',
        [users.bob],
      )) as [{ password_hash: string }]
      await gateway.database.sql('update users set password_hash = null where id = $1', [users.bob])
      expect(statusAndCode(await bob.send('DELETE', `/auth/factors/${passkey.factorId}`))).toEqual([
        409,
        'conflict',
      ])
      await gateway.database.sql('update users set password_hash = $2 where id = $1', [users.bob, before])
    })
  })

  describe('a reset by an admin', () => {
    const reset = (token: string, path: string) =>
      sendRequest(gateway.url, path, { method: 'DELETE', headers: bearer(token) })

    it('removes all factors, codes and sessions of a user; not of a SysAdmin, nor of oneself', async () => {
      const bob = await signedIn('bob')
      await addTotp(bob)
      const { token } = await tokenFor(gateway.database, 'petra')
      expect((await reset(token, `/admin/users/${users.bob}/factors`)).status).toBe(200)
      expect((await bob.send('GET', '/auth/me')).status).toBe(401)
      expect((await openBrowser(gateway.url).logIn('bob')).status).toBe(200)
      expect(await gateway.database.sql('select from recovery_codes')).toHaveLength(0)
      expect(await audited('factors_reset')).toBe(1)
      expect(statusAndCode(await reset(token, `/admin/users/${users.root}/factors`))).toEqual([
        403,
        'sysadmin_required',
      ])
      expect(statusAndCode(await reset(token, `/admin/users/${users.petra}/factors`))).toEqual([
        409,
        'conflict',
      ])
    })

    it('of a SysAdmin is made by another SysAdmin', async () => {
      const { token } = await tokenFor(gateway.database, 'root')
      expect(statusAndCode(await reset(token, `/system/admins/${users.root}/factors`))).toEqual([
        409,
        'conflict',
      ])
      expect(statusAndCode(await reset(token, `/system/admins/${users.bob}/factors`))).toEqual([
        404,
        'not_found',
      ])
      await gateway.database.sql('update users set is_sys_admin = true where id = $1', [users.erin])
      const erin = await tokenFor(gateway.database, 'erin')
      expect((await reset(erin.token, `/system/admins/${users.root}/factors`)).status).toBe(200)
      await gateway.database.sql('update users set is_sys_admin = false where id = $1', [users.erin])
    })
  })

  it('are nothing for service accounts, nor for tokens without a session', async () => {
    const reports = await tokenFor(gateway.database, 'reports')
    expect(
      statusAndCode(
        await postJson(gateway.url, '/auth/factors/totp', { label: 'x' }, { headers: bearer(reports.token) }),
      ),
    ).toEqual([403, 'permission_denied'])
  })
})
