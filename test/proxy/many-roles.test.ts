import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createIdentityVerifier } from '../../packages/upstream/src/index.js'
import { instances, mandates, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf } from '../support/hand-signed.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('the caller information for a service', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '20' },
      routes: `
upstreams: { crm: { targets: ['${upstream.url}'] } }
routes:
  /crm: { upstream: crm, mandate: optional, instance: optional }
  /quiet: { upstream: crm, mandate: optional, instance: optional, tell: [place, level] }
  /nothing: { upstream: crm, mandate: optional, tell: [] }
  /signed: { upstream: crm, mandate: optional, tell: [user, identity] }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function userWith(inMandate: number, onInstance: number) {
    const directory = directoryOf(gateway.database)
    const user = await directory.user()
    const roles = (count: number, where: object) =>
      Promise.all(Array.from({ length: count }, () => directory.role({ mandateId: mandates.acme, ...where })))
    const held = [await roles(inMandate, {}), await roles(onInstance, { instanceId: instances.acmeCrm })]
    await directory.join(user.id, mandates.acme, { roles: held[0] ?? [] })
    await directory.grant(user.id, instances.acmeCrm, { roles: held[1] ?? [] })
    return { ...user, roleIds: held.flat().sort() }
  }

  const own =
    /^(?:x-request-id|traceparent|forwarded|via|x-forwarded-.*|x-user-id|x-username|x-authority|x-session-id|x-mandate-id|x-instance-id|x-role-ids|x-access-level|x-gateway-identity)$/i
  const bytes = () =>
    upstream
      .last()
      .rawHeaders.reduce(
        (sum, text, index, all) =>
          index % 2 === 0 && own.test(text) ? sum + text.length + (all[index + 1]?.length ?? 0) + 4 : sum,
        0,
      )
  const ask = (token: string, path = '/crm/x', lines: string[] = []) =>
    sendLines(gateway.url, `GET ${path}`, [
      `Authorization: Bearer ${token}`,
      `X-Mandate-Id: ${mandates.acme}`,
      `X-Instance-Id: ${instances.acmeCrm}`,
      ...lines,
    ])
  const verifier = () => createIdentityVerifier({ gatewayUrl: gateway.url, audience: 'crm' })
  const identity = () => String(upstream.last().headers['x-gateway-identity'])

  it('stays under 8 KiB for any number of roles, and a service can request all of them', async () => {
    for (const [inMandate, onInstance] of [
      [2, 1],
      [30, 10],
      [60, 60],
      [100, 60],
      [200, 200],
    ] as const) {
      const user = await userWith(inMandate, onInstance)
      const hops = Array.from(
        { length: 20 },
        (_, hop) => `2001:db8:aaaa:bbbb:cccc:dddd:eeee:${(hop + 4096).toString(16)}`,
      ).join(', ')
      for (const lines of [
        [],
        [`X-Forwarded-For: ${hops}`, `X-Forwarded-Host: ${'h'.repeat(250)}.example`],
      ]) {
        expect((await ask(user.token, '/crm/x', lines)).status).toBe(200)
        expect([inMandate, lines.length, bytes() <= 8192]).toEqual([inMandate, lines.length, true])
        const { claims } = partsOf(identity())
        const header = upstream.last().headers['x-role-ids'] as string | undefined
        if (inMandate + onInstance <= 40)
          expect([claims.roleIds, header?.split(',').sort()]).toEqual([
            expect.arrayContaining(user.roleIds),
            user.roleIds,
          ])
        else expect(claims).not.toHaveProperty('roleIds')
        if (inMandate === 200) expect(header).toBeUndefined()
        if (header !== undefined && claims.roleIdsDigest !== undefined)
          expect(createHash('sha256').update(header).digest('base64url')).toBe(claims.roleIdsDigest)
        for (const sent of [header, undefined, 'forged'])
          expect((await verifier().verify(identity(), sent)).roleIds.sort()).toEqual(user.roleIds)
      }
    }
  }, 120_000)

  it('is small also for the longest username', async () => {
    const user = await userWith(40, 0)
    const name = '東'.repeat(256)
    await gateway.database.sql('update users set username = $1 where id = $2', [name, user.id])
    const { token } = await tokenFor(gateway.database, 'alice', {
      claims: { sub: name, userId: user.id },
      row: { userId: user.id },
    })
    expect((await ask(token)).status).toBe(200)
    expect(bytes()).toBeLessThanOrEqual(8192)
    expect((await verifier().verify(identity())).roleIds.sort()).toEqual(user.roleIds)
  })

  it('shows no roles to a caller without a valid identity', async () => {
    const user = await userWith(120, 0)
    await ask(user.token)
    const send = (value: string) =>
      fetch(`${gateway.url}/auth/identity/roles`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ identity: value }),
      })
    expect((await send(identity())).status).toBe(200)
    for (const wrong of [user.token, `${identity()}x`, identity().replace(/\.[^.]*$/, '.'), 'nonsense'])
      expect([wrong.slice(0, 20), (await send(wrong)).status]).toEqual([wrong.slice(0, 20), 401])
    await gateway.database.sql('update user_mandates set enabled = false where user_id = $1', [user.id])
    const refused = await send(identity())
    expect([refused.status, await refused.json()]).toEqual([
      403,
      expect.objectContaining({ code: 'membership_disabled' }),
    ])
  })

  it('has what the route says and no more, in the headers and in the signed identity', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const told = () =>
      Object.keys(upstream.last().headers)
        .filter((name) =>
          /^x-(?:user-id|username|authority|session-id|mandate-id|instance-id|role-ids|access-level|gateway-identity)$/.test(
            name,
          ),
        )
        .sort()
    await ask(token, '/quiet/x')
    expect(told()).toEqual(['x-instance-id', 'x-mandate-id'])
    await ask(token, '/nothing/x')
    expect(told()).toEqual([])
    await ask(token, '/signed/x')
    expect(told()).toEqual(['x-authority', 'x-gateway-identity', 'x-user-id', 'x-username'])
    const { claims } = partsOf(identity())
    expect(Object.keys(claims).sort()).toEqual([
      'acr',
      'aud',
      'auth_time',
      'authenticationAuthority',
      'exp',
      'iat',
      'iss',
      'sub',
      'userId',
    ])
    await ask(token)
    expect(partsOf(identity()).claims).toMatchObject({
      userId: users.alice,
      mandateId: mandates.acme,
      roleIds: expect.any(Array),
    })
    const asked = await sendLines(gateway.url, 'GET /auth/verify', [
      'X-Original-Method: GET',
      'X-Original-URI: /quiet/x',
      `Authorization: Bearer ${token}`,
      `X-Mandate-Id: ${mandates.acme}`,
    ])
    expect(
      Object.keys(asked.headers)
        .filter((name) => /^x-(?:user|username|authority|session|mandate|role|gateway)/.test(name))
        .sort(),
    ).toEqual(['x-mandate-id'])
  })
})
