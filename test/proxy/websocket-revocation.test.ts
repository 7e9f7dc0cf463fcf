import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { instances, mandates, roles, tokenFor } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTwoNodes, type Caller, type TwoNodes } from '../support/two-nodes.js'
import { eventually, within } from '../support/within.js'
import {
  frame,
  openRawWebSocket,
  openWebSocket,
  opcodes,
  startSocketUpstream,
  type RawEnd,
  type SocketUpstream,
} from '../support/web-sockets.js'

describe('an open WebSocket whose authority is taken away at another node', () => {
  let nodes: TwoNodes
  let upstream: SocketUpstream
  beforeAll(async () => {
    upstream = await startSocketUpstream()
    nodes = await startTwoNodes(`
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /ws: { upstream: own, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /anyone: { upstream: own, auth: optional }
`)
  })
  afterAll(async () => {
    await nodes.stop()
    await upstream.stop()
  })

  /** Joins a client and the upstream through the first node, and sends a message each way. */
  async function join(headers: Record<string, string>): Promise<{ client: RawEnd; service: RawEnd }> {
    const arriving = upstream.nextRaw()
    const client = await openRawWebSocket(`${nodes.here.url}/ws`, headers)
    expect(client.head).toMatch(/^HTTP\/1\.1 101 /)
    const service = await arriving
    client.socket.write(frame('from the client', { masked: true }))
    service.socket.write(frame('from the service'))
    await eventually(() => (client.texts().length === 1 && service.texts().length === 1) || undefined)
    return { client, service }
  }

  /** Both sides go on as if nothing had happened: nothing of that may arrive. */
  async function expectNothingMore({ client, service }: { client: RawEnd; service: RawEnd }) {
    client.socket.end(frame('too late', { masked: true }))
    service.socket.end(frame('too late'))
    await Promise.all([client.ended, service.ended])
    await eventually(() => (client.socket.destroyed && service.socket.destroyed) || undefined)
    expect(client.texts()).toEqual(['from the service'])
    expect(service.texts()).toEqual(['from the client'])
    expect(client.frames().at(-1)?.opcode).toBe(opcodes.close)
  }

  const cuts: [string, (caller: Caller) => Promise<void>, [number, string]][] = [
    ['its token is revoked', ({ jti }) => nodes.revoke(jti), [4401, 'token_invalid']],
    [
      'its session is ended by logging out',
      async ({ token }) => {
        const answer = await fetch(`${nodes.there.url}/auth/logout`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${token}` },
        })
        expect(answer.status).toBe(204)
      },
      [4401, 'token_invalid'],
    ],
    [
      'another token of its session logs out',
      async ({ sid, id, username }) => {
        const { token, jti } = await tokenFor(nodes.database, 'alice', {
          claims: { sub: username, userId: id, sid },
          row: { userId: id, sessionId: sid },
        })
        const answer = await fetch(`${nodes.there.url}/auth/logout`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${token}` },
        })
        expect([answer.status, jti.length]).toEqual([204, 36])
      },
      [4401, 'token_invalid'],
    ],
    [
      'its user is disabled',
      ({ id }) => nodes.askThere('petra', 'PATCH', `/admin/users/${id}`, { enabled: false }),
      [4403, 'user_disabled'],
    ],
  ]

  it.each(cuts)(
    'is closed on both sides before the call answers by which %s, and nothing passes afterwards',
    async (_what, takeAway, [code, reason]) => {
      const caller = await nodes.caller()
      const { client, service } = await join(caller.headers)
      const other = await join((await nodes.caller()).headers)
      await takeAway(caller)
      expect(client.close()).toEqual([code, reason])
      expect(service.close()).toEqual([1001, reason])
      expect(service.frames().at(-1)?.masked).toBe(true)
      await expectNothingMore({ client, service })
      expect(other.client.close()).toBeUndefined()
      expect(other.client.hasEnded()).toBe(false)
      other.client.socket.destroy()
    },
  )

  const announced: [string, (caller: Caller) => Promise<unknown>, [number, string]][] = [
    [
      'its membership is disabled',
      ({ membership }) =>
        nodes.database.sql('update user_mandates set enabled = false where id = $1', [membership]),
      [4403, 'membership_disabled'],
    ],
    [
      'its membership is deleted',
      ({ membership }) => nodes.database.sql('delete from user_mandates where id = $1', [membership]),
      [4403, 'not_a_member'],
    ],
    [
      'its token’s row is deleted',
      ({ jti }) => nodes.database.sql('delete from tokens where id = $1', [jti]),
      [4401, 'token_invalid'],
    ],
    [
      'its role is taken away',
      ({ membership }) =>
        nodes.database.sql('delete from user_mandate_roles where user_mandate_id = $1', [membership]),
      [4403, 'permission_denied'],
    ],
  ]

  it.each(announced)('is closed within a second when %s with plain SQL', async (_what, takeAway, close) => {
    const caller = await nodes.caller()
    const { client, service } = await join(caller.headers)
    await takeAway(caller)
    await eventually(() => client.close(), 1000)
    expect(client.close()).toEqual(close)
    await expectNothingMore({ client, service })
  })

  it('is closed when the access to its feature instance is disabled', async () => {
    const directory = directoryOf(nodes.database)
    const caller = await nodes.caller({ roles: [] })
    const access = await directory.grant(caller.id, instances.acmeCrm, { roles: [roles.crmReader] })
    const { client, service } = await join({ ...caller.headers, 'X-Instance-Id': instances.acmeCrm })
    await nodes.database.sql('update feature_access set enabled = false where id = $1', [access])
    await nodes.allHaveHeard()
    expect(client.close()).toEqual([4403, 'feature_access_disabled'])
    await expectNothingMore({ client, service })
  })

  it('is closed when a rule of its role is removed, and when one that counts more says less', async () => {
    const directory = directoryOf(nodes.database)
    const role = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'crm', read: 'm' }],
    })
    const [losing, narrowed] = [
      await nodes.caller({ roles: [role] }),
      await nodes.caller({ roles: [roles.viewer] }),
    ]
    const [first, second] = [await join(losing.headers), await join(narrowed.headers)]
    await nodes.database.sql('delete from access_rules where role_id = $1', [role])
    await nodes.allHaveHeard()
    expect(first.client.close()).toEqual([4403, 'permission_denied'])
    expect(second.client.close()).toBeUndefined()

    const narrower = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'crm', read: 'n' }],
    })
    await nodes.database.sql('insert into user_mandate_roles (user_mandate_id, role_id) values ($1, $2)', [
      narrowed.membership,
      narrower,
    ])
    await nodes.allHaveHeard()
    expect(second.client.close()).toEqual([4403, 'permission_denied'])
    await expectNothingMore(first)
    await expectNothingMore(second)
  })

  it('is told the first of several reasons, by the order of the tables', async () => {
    const caller = await nodes.caller()
    const { client } = await join(caller.headers)
    await nodes.database.sql(
      `
      with gone as (update user_mandates set enabled = false where id = $1),
          revoked as (update tokens set status = 'revoked' where id = $2)
      update users set enabled = false where id = $3`,
      [caller.membership, caller.jti, caller.id],
    )
    await nodes.allHaveHeard()
    expect(client.close()).toEqual([4403, 'user_disabled'])
    client.socket.destroy()
  })

  it('stays open when the change is somebody else’s', async () => {
    const [caller, other] = [await nodes.caller(), await nodes.caller()]
    const { client, service } = await join(caller.headers)
    await nodes.revoke(other.jti)
    await nodes.askThere('petra', 'PATCH', `/admin/users/${other.id}`, { enabled: false })
    await nodes.database.sql('delete from user_mandates where id = $1', [other.membership])
    await nodes.revoke(
      (
        await tokenFor(nodes.database, 'alice', {
          claims: { sub: caller.username, userId: caller.id },
          row: { userId: caller.id },
        })
      ).jti,
    )
    client.socket.write(frame('still here', { masked: true }))
    service.socket.write(frame('here too'))
    await eventually(() => (client.texts().length === 2 && service.texts().length === 2) || undefined)
    expect(client.close()).toBeUndefined()
    client.socket.destroy()
    await service.ended
  })

  it('stays open and loses no message, in order, when a change concerns it but still allows', async () => {
    const caller = await nodes.caller()
    const arriving = upstream.next()
    const { socket, messages, status } = await openWebSocket(`${nodes.here.url}/ws`, caller.headers)
    expect(status).toBe(101)
    const service = await arriving
    let sent = 0
    const sending = setInterval(() => {
      for (let more = 0; more < 20; more += 1) {
        socket.send(`up ${sent}`)
        service.socket.send(`down ${sent}`)
        sent += 1
      }
    }, 1)
    const directory = directoryOf(nodes.database)
    for (let round = 0; round < 10; round += 1) {
      const role = await directory.role({
        mandateId: mandates.acme,
        rules: [{ context: 'RESOURCE', item: 'crm', read: 'a' }],
      })
      await nodes.database.sql('insert into user_mandate_roles (user_mandate_id, role_id) values ($1, $2)', [
        caller.membership,
        role,
      ])
      await nodes.allHaveHeard()
    }
    clearInterval(sending)
    await eventually(() => (messages.length === sent && service.messages.length === sent) || undefined)
    expect(sent).toBeGreaterThan(200)
    expect(messages).toEqual(Array.from({ length: sent }, (_, index) => `down ${index}`))
    expect(service.messages).toEqual(Array.from({ length: sent }, (_, index) => `up ${index}`))
    // It has been followed through all those changes: it still hears of the next.
    await nodes.revoke(caller.jti)
    expect(socket.readyState).toBeGreaterThan(socket.OPEN)
  })

  it('is closed when a role that the service knows of is taken, though another would let it in', async () => {
    const directory = directoryOf(nodes.database)
    const caller = await nodes.caller()
    const { client } = await join(caller.headers)
    const role = await directory.role({
      mandateId: mandates.acme,
      rules: [{ context: 'RESOURCE', item: 'crm', read: 'a' }],
    })
    await nodes.database.sql('insert into user_mandate_roles (user_mandate_id, role_id) values ($1, $2)', [
      caller.membership,
      role,
    ])
    await nodes.allHaveHeard()
    await nodes.database.sql('delete from user_mandate_roles where user_mandate_id = $1 and role_id = $2', [
      caller.membership,
      roles.viewer,
    ])
    await nodes.allHaveHeard()
    expect(client.close()).toEqual([4403, 'permission_denied'])
    client.socket.destroy()
  })

  it('on a route that takes anonymous callers too ends with the token that it was opened with', async () => {
    const caller = await nodes.caller()
    const [mine, nobodys] = [
      await openWebSocket(`${nodes.here.url}/anyone`, caller.headers),
      await openWebSocket(`${nodes.here.url}/anyone`),
    ]
    await nodes.revoke(caller.jti)
    expect(await mine.closed).toEqual([4401, 'token_invalid'])
    nobodys.socket.send('still here')
    await eventually(() => nobodys.messages.length === 1 || undefined)
    nobodys.socket.terminate()
  })

  it('whose upgrade the service has not answered yet is closed as soon as it has, and nothing passes', async () => {
    const caller = await nodes.caller()
    let answer = () => undefined as unknown
    const arrived = new Promise<void>((resolve) =>
      upstream.nextUpgrade((_req, socket) => {
        answer = () =>
          socket.write(
            Buffer.concat([
              Buffer.from(
                'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
              ),
              frame('secret'),
            ]),
          )
        resolve()
      }),
    )
    const opening = openRawWebSocket(`${nodes.here.url}/ws`, caller.headers)
    await arrived
    await nodes.revoke(caller.jti)
    answer()
    const client = await opening
    await client.ended
    expect(client.texts()).toEqual([])
    client.socket.destroy()
  })

  describe('where no frame may begin', () => {
    it('is cut in the middle of a frame, without a Close that would be read as part of it', async () => {
      for (const size of [100, 1000, 100_000]) {
        const caller = await nodes.caller()
        const { client, service } = await join(caller.headers)
        const before = client.bytes().length
        const half = frame('x'.repeat(size)).subarray(0, size / 2)
        service.socket.write(half)
        await eventually(() => client.bytes().length === before + half.length || undefined)
        await nodes.revoke(caller.jti)
        await client.ended
        expect(client.bytes().length).toBe(before + half.length)
        // The other direction stood at the end of a frame.
        expect(service.close()).toEqual([1001, 'token_invalid'])
        service.socket.destroy()
        client.socket.destroy()
      }
    })

    it('is cut in the middle of a frame’s head', async () => {
      const whole = frame('x'.repeat(70_000))
      for (const bytes of [1, 2, 5, 9]) {
        const caller = await nodes.caller()
        const { client, service } = await join(caller.headers)
        const before = client.bytes().length
        for (let at = 0; at < bytes; at += 1) {
          service.socket.write(whole.subarray(at, at + 1))
          await eventually(() => client.bytes().length === before + at + 1 || undefined)
        }
        await nodes.revoke(caller.jti)
        await client.ended
        expect(client.bytes().length).toBe(before + bytes)
        service.socket.destroy()
        client.socket.destroy()
      }
    })

    it('is cut towards the service in the middle of what the client sends, and closed towards the client', async () => {
      const caller = await nodes.caller()
      const { client, service } = await join(caller.headers)
      const before = service.bytes().length
      client.socket.write(frame('x'.repeat(1000), { masked: true }).subarray(0, 500))
      await eventually(() => service.bytes().length === before + 500 || undefined)
      await nodes.revoke(caller.jti)
      expect(client.close()).toEqual([4401, 'token_invalid'])
      await service.ended
      expect(service.bytes().length).toBe(before + 500)
      client.socket.destroy()
      service.socket.destroy()
    })

    it('is closed properly behind frames of every length, and between the fragments of a message', async () => {
      for (const size of [0, 125, 126, 65_535, 65_536, 200_000]) {
        const caller = await nodes.caller()
        const { client, service } = await join(caller.headers)
        service.socket.write(frame(Buffer.alloc(size, 'x'), { opcode: opcodes.binary }))
        service.socket.write(frame('begun', { isLast: false }))
        client.socket.write(frame(Buffer.alloc(size, 'y'), { opcode: opcodes.binary, masked: true }))
        await eventually(() => (client.texts().length === 3 && service.texts().length === 2) || undefined)
        await nodes.revoke(caller.jti)
        expect(client.close()).toEqual([4401, 'token_invalid'])
        expect(service.close()).toEqual([1001, 'token_invalid'])
        client.socket.destroy()
        service.socket.destroy()
      }
    })

    it('is sent no second Close behind the service’s own', async () => {
      const caller = await nodes.caller()
      const { client, service } = await join(caller.headers)
      service.socket.write(frame(Buffer.from([0x03, 0xe8]), { opcode: opcodes.close }))
      await eventually(() => client.close())
      await nodes.revoke(caller.jti)
      await client.ended
      expect(client.frames().filter(({ opcode }) => opcode === opcodes.close)).toHaveLength(1)
      expect(client.close()).toEqual([1000, ''])
      client.socket.destroy()
      service.socket.destroy()
    })
  })

  it('is closed before the answer also when a client does not read, and what it did not read is not kept', async () => {
    const caller = await nodes.caller()
    const { client, service } = await join(caller.headers)
    client.socket.pause()
    const block = frame(Buffer.alloc(1024 * 1024), { opcode: opcodes.binary })
    let isStuck = false
    for (let sent = 0; sent < 64 && !isStuck; sent += 1) {
      isStuck = await within(
        300,
        new Promise<void>((resolve) => service.socket.write(block, () => resolve())),
      ).then(
        () => false,
        () => true,
      )
    }
    expect(isStuck).toBe(true)
    await nodes.revoke(caller.jti)
    await service.ended
    await eventually(() => service.socket.destroyed || (service.socket.destroy(), undefined))
    client.socket.resume()
    await client.ended
    client.socket.destroy()
  })
})
