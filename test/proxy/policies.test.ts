import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { instances, mandates, tokenFor, users, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const routesTo = (url: string, other: string) => `
upstreams:
  own: { targets: ['${url}'] }
  other: { targets: ['${other}'] }
  pair: { targets: ['${url}', '${other}'] }
routes:
  /: { upstream: own, auth: public }
  /api: { upstream: own }
  /api/crm: { upstream: other, auth: public }
  /api/crm/deep: { upstream: own, auth: public }
  /stripped/v1: { upstream: own, auth: public, strip: true }
  /optional: { upstream: own, auth: optional, mandate: optional }
  /ops: { upstream: own, guard: sysAdmin }
  /governance: { upstream: own, guard: platformAdmin }
  /members: { upstream: own, mandate: required }
  /installed: { upstream: own, instance: required }
  /contacts:
    { upstream: own, mandate: required, instance: optional,
      permission: { context: RESOURCE, item: crm.contacts } }
  /pair: { upstream: pair, auth: public }
`

describe('a route’s policy', () => {
  let upstream: Upstream
  let other: Upstream
  let gateway: TestGateway
  const tokens = {} as Record<DemoUser, string>
  beforeAll(async () => {
    ;[upstream, other] = [await startUpstream(), await startUpstream()]
    gateway = await startTestGateway({ routes: routesTo(upstream.url, other.url) })
    for (const user of Object.keys(users) as DemoUser[])
      tokens[user] = (await tokenFor(gateway.database, user)).token
  })
  afterAll(async () => {
    await gateway.stop()
    await Promise.all([upstream.stop(), other.stop()])
  })

  /** Status and code of a request, and whether an upstream heard of it. */
  async function ask(method: string, path: string, user?: DemoUser, headers: Record<string, string> = {}) {
    const before = upstream.received.length + other.received.length
    const lines = Object.entries({
      ...(user ? { Authorization: `Bearer ${tokens[user]}` } : {}),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`)
    const answer = await sendLines(gateway.url, `${method} ${path}`, lines)
    const forwarded = upstream.received.length + other.received.length > before
    return forwarded
      ? { status: answer.status, forwarded }
      : { status: answer.status, forwarded, code: codeOf(answer) }
  }
  const passed = { status: 200, forwarded: true }

  describe('chooses the route', () => {
    it('the longest prefix wins, on whole segments', async () => {
      expect(await ask('GET', '/api/crm/contacts')).toEqual(passed)
      expect(other.last().url).toBe('/api/crm/contacts')
      expect(await ask('GET', '/api/crm')).toEqual(passed)
      expect(other.last().url).toBe('/api/crm')
      expect(await ask('GET', '/api/crm/deeper')).toEqual(passed)
      expect(other.last().url).toBe('/api/crm/deeper')
      expect(await ask('GET', '/api/crm/deep/x')).toEqual(passed)
      expect(upstream.last().url).toBe('/api/crm/deep/x')
      expect(await ask('GET', '/api/crmx')).toMatchObject({ status: 401 }) // is under /api, not /api/crm
      expect(await ask('GET', '/apix')).toEqual(passed) // is under /
      expect(upstream.last().url).toBe('/apix')
    })

    it('prefixes compare exactly; a path that ignoring letter case gives to another route is refused', async () => {
      expect(await ask('GET', '/API/crm')).toEqual({ status: 400, forwarded: false, code: 'path_ambiguous' })
      expect(await ask('GET', '/API2/crm')).toEqual(passed)
      expect(upstream.last().url).toBe('/API2/crm')
      expect(await ask('GET', '/api/crm/')).toEqual(passed)
      expect(other.last().url).toBe('/api/crm/')
    })

    it('an escape that means the same letter means the same route', async () => {
      expect(await ask('GET', '/%61pi/contacts')).toMatchObject({ status: 401, forwarded: false })
      expect(await ask('GET', '/ap%69/crm/x')).toEqual(passed)
      expect(other.last().url).toBe('/api/crm/x')
    })

    it('a route / does not swallow the gateway’s own paths', async () => {
      for (const path of [
        '/auth/login',
        '/auth/nothing',
        '/auth',
        '/mandate/members',
        '/admin/users',
        '/admin/nothing',
        '/system/nodes',
        '/portal',
        '/portal/api/me',
        '/projects/1/portal-preview',
        '/healthz',
        '/readyz',
        '/metrics',
        '/.well-known/jwks.json',
        '/openapi.yaml',
        '/docs',
        '/console',
      ]) {
        expect([path, (await ask('PUT', path)).forwarded]).toEqual([path, false])
      }
      expect(await ask('GET', '/authority')).toEqual(passed)
      expect(await ask('GET', '/healthz2')).toEqual(passed)
    })

    it('strip takes the prefix away and leaves the rest, the query included', async () => {
      for (const [sent, received] of [
        ['/stripped/v1/a/b?x=1', '/a/b?x=1'],
        ['/stripped/v1', '/'],
        ['/stripped/v1/', '/'],
        ['/stripped/v1?x=/y', '/?x=/y'],
        ['/stripped/v1/stripped/v1', '/stripped/v1'],
        ['/stripped/v1/%C3%A9', '/%C3%A9'],
      ]) {
        expect(await ask('GET', sent!)).toEqual(passed)
        expect([sent, upstream.last().url]).toEqual([sent, received])
      }
    })

    it('the query reaches the upstream byte for byte', async () => {
      const query = '?a=%2f..%2F&b=//&c=%zz&d=a+b&&=&e=%00&f=\\'
      expect(await ask('GET', `/api/crm/x${query}`)).toEqual(passed)
      expect(other.last().url).toBe(`/api/crm/x${query}`)
    })

    it('several targets take turns', async () => {
      const [before, beforeOther] = [upstream.received.length, other.received.length]
      for (let count = 0; count < 6; count += 1) expect(await ask('GET', '/pair')).toEqual(passed)
      expect([upstream.received.length - before, other.received.length - beforeOther]).toEqual([3, 3])
    })
  })

  describe('checks the caller', () => {
    it('required: without a token 401, and nothing reaches the upstream', async () => {
      expect(await ask('GET', '/api/x')).toEqual({
        status: 401,
        forwarded: false,
        code: 'authentication_required',
      })
      expect(await ask('GET', '/api/x', 'erin')).toEqual(passed)
      expect(await ask('OPTIONS', '/api/x')).toMatchObject({ status: 401, forwarded: false })
    })

    it('public: anonymous callers pass, and a bad token is not checked', async () => {
      expect(await ask('GET', '/x')).toEqual(passed)
      expect(
        await ask('GET', '/x', undefined, { Authorization: 'Bearer rubbish', Cookie: 'auth_token=rubbish' }),
      ).toEqual(passed)
    })

    it('optional: no token is anonymous, a bad one is refused', async () => {
      expect(await ask('GET', '/optional')).toEqual(passed)
      expect(upstream.last().headers).not.toHaveProperty('x-user-id')
      expect(await ask('GET', '/optional', undefined, { Cookie: 'auth_token=' })).toEqual(passed)
      expect(await ask('GET', '/optional', 'alice')).toEqual(passed)
      expect(upstream.last().headers['x-user-id']).toBe(users.alice)
      expect(await ask('GET', '/optional', undefined, { Authorization: 'Bearer rubbish' })).toEqual({
        status: 401,
        forwarded: false,
        code: 'token_invalid',
      })
      expect(await ask('GET', '/optional', 'dave')).toEqual({
        status: 403,
        forwarded: false,
        code: 'user_disabled',
      })
      expect(await ask('GET', '/optional', 'erin', { 'X-Mandate-Id': mandates.acme })).toEqual({
        status: 403,
        forwarded: false,
        code: 'not_a_member',
      })
    })

    it('guards: each level passes its own guard only', async () => {
      expect(await ask('GET', '/ops')).toMatchObject({ status: 401, forwarded: false })
      for (const user of ['alice', 'petra', 'frank'] as const)
        expect(await ask('GET', '/ops', user)).toEqual({
          status: 403,
          forwarded: false,
          code: 'sysadmin_required',
        })
      expect(await ask('GET', '/ops', 'root')).toEqual(passed)
      for (const user of ['alice', 'root'] as const)
        expect(await ask('GET', '/governance', user)).toEqual({
          status: 403,
          forwarded: false,
          code: 'platform_admin_required',
        })
      expect(await ask('GET', '/governance', 'petra')).toEqual(passed)
    })

    it('a guarded route is audited with its prefix, method and request id, also when it refuses', async () => {
      await ask('DELETE', '/ops/thing', 'root', { 'X-Request-Id': 'audited-1' })
      await ask('POST', '/ops/thing', 'alice', { 'X-Request-Id': 'audited-2' })
      const deadline = Date.now() + 1000 // the contract's second
      let rows: unknown[] = []
      while (rows.length < 2 && Date.now() < deadline) {
        rows = await gateway.database.sql(
          `select action, user_id, mandate_id, details->>'method' as method, details->>'route' as route,
              request_id
            from audit_events
            where request_id like 'audited-%'
            order by request_id`,
        )
      }
      expect(rows).toEqual([
        {
          action: 'sysadmin_action',
          user_id: users.root,
          mandate_id: 'system',
          method: 'DELETE',
          route: '/ops',
          request_id: 'audited-1',
        },
        {
          action: 'sysadmin_action_refused',
          user_id: users.alice,
          mandate_id: 'system',
          method: 'POST',
          route: '/ops',
          request_id: 'audited-2',
        },
      ])
    })
  })

  describe('checks the place', () => {
    it('a mandate that is required and one that is not the caller’s', async () => {
      expect(await ask('GET', '/members', 'alice')).toMatchObject({ status: 400, code: 'mandate_required' })
      expect(await ask('GET', '/members', 'alice', { 'X-Mandate-Id': '' })).toMatchObject({
        status: 400,
        code: 'mandate_required',
      })
      expect(await ask('GET', '/members', 'alice', { 'X-Mandate-Id': 'acme' })).toMatchObject({
        status: 400,
        code: 'mandate_id_invalid',
      })
      expect(await ask('GET', '/members', 'bob', { 'X-Mandate-Id': mandates.globex })).toMatchObject({
        status: 403,
        code: 'not_a_member',
      })
      expect(await ask('GET', '/members', 'alice', { 'X-Mandate-Id': mandates.globex })).toEqual(passed)
    })

    it('an instance that is required', async () => {
      expect(await ask('GET', '/installed', 'alice')).toMatchObject({
        status: 400,
        code: 'instance_required',
      })
      expect(await ask('GET', '/installed', 'bob', { 'X-Instance-Id': instances.globexCrm })).toMatchObject({
        status: 403,
        code: 'no_instance_access',
      })
      expect(await ask('GET', '/installed', 'bob', { 'X-Instance-Id': instances.acmeCrm })).toEqual(passed)
      expect(upstream.last().headers['x-instance-id']).toBe(instances.acmeCrm)
    })

    it('headers that a route does not use are ignored, however wrong', async () => {
      expect(
        await ask('GET', '/api/x', 'alice', { 'X-Mandate-Id': 'nonsense', 'X-Instance-Id': 'nonsense' }),
      ).toEqual(passed)
      expect(await ask('GET', '/x', undefined, { 'X-Mandate-Id': 'nonsense' })).toEqual(passed)
    })
  })

  describe('checks the permission, by the method', () => {
    const acme = { 'X-Mandate-Id': mandates.acme }

    it.each([
      ['GET', 200],
      ['HEAD', 200],
      ['OPTIONS', 200],
      ['POST', 403],
      ['PUT', 403],
      ['PATCH', 403],
      ['DELETE', 403],
    ])('a viewer’s %s is %i', async (method, status) => {
      const answer = await sendLines(gateway.url, `${method} /contacts/1`, [
        `Authorization: Bearer ${tokens.bob}`,
        `X-Mandate-Id: ${mandates.acme}`,
      ])
      expect(answer.status).toBe(status)
      if (status === 403) expect(codeOf(answer)).toBe('permission_denied')
    })

    it.each(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'])(
      'an admin’s %s passes',
      async (method) => {
        expect(await ask(method, '/contacts/1', 'alice', acme)).toEqual(passed)
      },
    )

    it.each(['TRACE', 'PROPFIND', 'LINK', 'PURGE', 'SEARCH'])(
      '%s has no action, so it passes for no caller',
      async (method) => {
        for (const user of ['alice', 'root'] as const) {
          expect(await ask(method, '/contacts/1', user, acme)).toMatchObject({ forwarded: false })
        }
      },
    )

    it('the level of one action allows no other action', async () => {
      await gateway.database.sql(
        `insert into access_rules (role_id, context, item, "delete")
          select role_id, $2, $3, $4
          from user_mandate_roles r
          join user_mandates m on m.id = r.user_mandate_id
          where m.user_id = $1 and m.mandate_id = $5`,
        [users.reports, 'RESOURCE', 'crm.contacts', 'm', mandates.acme],
      )
      expect(await ask('DELETE', '/contacts/1', 'reports', acme)).toEqual(passed)
      expect(upstream.last().headers['x-access-level']).toBe('m')
      expect(await ask('GET', '/contacts/1', 'reports', acme)).toMatchObject({
        status: 403,
        code: 'permission_denied',
      })
      expect(await ask('POST', '/contacts/1', 'reports', acme)).toMatchObject({
        status: 403,
        code: 'permission_denied',
      })
      await gateway.database.sql(`delete from access_rules where item = 'crm.contacts'`)
    })

    it('a SysAdmin passes, a PlatformAdmin does not', async () => {
      expect(await ask('DELETE', '/contacts/1', 'root', acme)).toEqual(passed)
      expect(upstream.last().headers['x-access-level']).toBe('a')
      expect(await ask('GET', '/contacts/1', 'petra', acme)).toMatchObject({
        status: 403,
        code: 'permission_denied',
      })
    })

    it('a method in the query or in an override header changes nothing', async () => {
      expect(
        await ask('POST', '/contacts/1?_method=GET', 'bob', {
          ...acme,
          'X-HTTP-Method-Override': 'GET',
          'X-HTTP-Method': 'GET',
        }),
      ).toMatchObject({ status: 403, code: 'permission_denied' })
    })
  })

  it('a cookie works like the header', async () => {
    await request(gateway.url)
      .get('/contacts')
      .set('Cookie', `auth_token=${tokens.alice}`)
      .set('X-Mandate-Id', mandates.acme)
      .expect(200)
    expect(upstream.last().headers['x-user-id']).toBe(users.alice)
  })
})
