import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { forgetOldLogins } from '../../src/login/retention.js'
import { connectDatabase } from '../../src/database/connect.js'
import { sendRequest, type RequestOptions } from '../support/http-client.js'
import { openBrowser } from '../support/browser.js'
import { mandates, roles, tokenFor } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { valueOf } from '../support/scrape.js'
import { until } from '../support/until.js'

/** An act, and at most how many keys it may announce. */
interface Act {
  name: string
  mostKeys: number
  /** Makes the rows that the act is about; the result carries it out. */
  prepare: () => Promise<() => Promise<{ status: number; text: string }>>
}

describe('an act of one person, or on one person, makes no node forget anybody else', () => {
  let gateway: TestGateway
  let directory: ReturnType<typeof directoryOf>
  let petra: string
  let root: string

  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
    directory = directoryOf(gateway.database)
    petra = (await tokenFor(gateway.database, 'petra')).token
    root = (await tokenFor(gateway.database, 'root')).token
    // Changes that all nodes have heard of are pruned: what was announced is written down beside them.
    await sql(`create table public.announced (key text);
      create function public.write_down() returns trigger language plpgsql security definer as $$
        begin
        insert into public.announced
        values (new.key); return null; end $$;
      create trigger write_down after insert on coherence.changes for each row when (new.key <> '')
        execute function public.write_down()`)
  })
  afterAll(() => gateway.stop())

  const sql = <Row>(statement: string, values: unknown[] = []) => gateway.database.sql<Row>(statement, values)
  const send = (path: string, { token, ...question }: RequestOptions & { token?: string }) =>
    sendRequest(gateway.url, path, {
      ...question,
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(question.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...question.headers,
      },
    })
  const misses = async () =>
    valueOf((await sendRequest(gateway.url, '/metrics')).text, 'gateway_memory_misses_total')
  const person = async () => {
    const id = randomUUID()
    const username = `person-${randomBytes(6).toString('hex')}`
    await sql(
      `insert into users (id, username, password_hash)
        select $1, $2, password_hash
        from users
        where username = 'alice'`,
      [id, username],
    )
    return { id, username }
  }
  /**
   * A person who is signed in, in a session with so many more tokens: live ones, and ones that expired days
   * ago.
   */
  const signedIn = async ({ live = 0, expired = 0 } = {}) => {
    const { id, username } = await person()
    const browser = openBrowser(gateway.url)
    expect((await browser.logIn(username)).status).toBe(200)
    await sql(
      `
      insert into tokens (user_id, authority, session_id, expires_at)
      select user_id, authority, id,
          case when n <= $2::int then now() + interval '10 minutes' else now() - interval '3 days' end
        from sessions, generate_series(1, $2::int + $3::int) as n where user_id = $1`,
      [id, live, expired],
    )
    return { id, browser }
  }
  const membersOf = async (count: number) => {
    const mandateId = await directory.mandate()
    const instanceId = await directory.instance(mandateId)
    await sql(
      `
      with people as (
          insert into users (username)
          select 'member-' || gen_random_uuid()
          from generate_series(1, $1::int)
          returning id
        ),
           members as (insert into user_mandates (user_id, mandate_id) select id, $2 from people returning id, user_id),
           held as (insert into user_mandate_roles (user_mandate_id, role_id) select id, $4 from members)
      insert into feature_access (user_id, feature_instance_id) select user_id, $3 from members`,
      [count, mandateId, instanceId, roles.viewer],
    )
    return { mandateId, instanceId }
  }
  const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

  const acts: Act[] = [
    {
      name: 'a logout after 400 refreshes',
      mostKeys: 3,
      prepare: async () => {
        const { browser } = await signedIn({ expired: 400 })
        return () => browser.send('POST', '/auth/logout')
      },
    },
    {
      name: 'a logout of a session with 400 tokens that are good',
      mostKeys: 3,
      prepare: async () => {
        const { browser } = await signedIn({ live: 400 })
        return () => browser.send('POST', '/auth/logout')
      },
    },
    {
      name: 'a logout everywhere of somebody with 1,000 sessions',
      mostKeys: 5,
      prepare: async () => {
        const { id, browser } = await signedIn({ expired: 400 })
        await sql(
          `insert into sessions (user_id, authority) select $1, 'local' from generate_series(1, 1000)`,
          [id],
        )
        return () => browser.send('POST', '/auth/logout-all')
      },
    },
    {
      name: 'a new password of somebody with 1,000 sessions and 1,000 tokens',
      mostKeys: 5,
      prepare: async () => {
        const { id, browser } = await signedIn()
        await sql(
          `with begun as (
              insert into sessions (user_id, authority)
              select $1, 'local'
              from generate_series(1, 1000)
              returning id
            )
        insert into tokens (user_id, authority, session_id, expires_at)
          select $1, 'local', id, now() + interval '10 minutes'
          from begun`,
          [id],
        )
        return () =>
          browser.send('POST', '/auth/password', {
            currentPassword: 'demo-password-1',
            newPassword: 'a password of four words',
          })
      },
    },
    {
      name: 'a refresh token that is used twice, after 400 refreshes',
      mostKeys: 3,
      prepare: async () => {
        const { id, browser } = await signedIn({ expired: 400 })
        const stolen = browser.cookie('refresh_token')!.value
        expect((await browser.send('POST', '/auth/refresh')).status).toBe(200)
        await sql(`update refresh_tokens set spent_at = spent_at - interval '1 hour' where token_hash = $1`, [
          hashOf(stolen),
        ])
        return async () => {
          expect(
            (await send('/auth/refresh', { method: 'POST', headers: { Cookie: `refresh_token=${stolen}` } }))
              .status,
          ).toBe(401)
          return await send(`/admin/users/${id}`, { token: petra })
        }
      },
    },
    {
      name: 'a sign-out by an admin, of a program with 10,000 tokens',
      mostKeys: 3,
      prepare: async () => {
        const { id } = await person()
        await sql(
          `insert into tokens (user_id, authority, expires_at)
            select $1, 'local', now() + interval '10 minutes'
            from generate_series(1, 10000)`,
          [id],
        )
        return () => send(`/admin/users/${id}/sessions`, { method: 'DELETE', token: petra })
      },
    },
    {
      name: 'somebody with 10,000 tokens disabled',
      mostKeys: 6,
      prepare: async () => {
        const { id } = await signedIn({ live: 5000, expired: 5000 })
        return () =>
          send(`/admin/users/${id}`, {
            method: 'PATCH',
            token: petra,
            body: JSON.stringify({ enabled: false }),
          })
      },
    },
    {
      name: 'somebody with 10,000 tokens deleted',
      mostKeys: 6,
      prepare: async () => {
        const { id } = await signedIn({ live: 5000, expired: 5000 })
        return () => send(`/admin/users/${id}`, { method: 'DELETE', token: petra })
      },
    },
    {
      name: 'somebody with 10,000 tokens made a SysAdmin',
      mostKeys: 6,
      prepare: async () => {
        const { id } = await person()
        await sql(
          `insert into tokens (user_id, authority, expires_at)
            select $1, 'local', now() + interval '10 minutes'
            from generate_series(1, 10000)`,
          [id],
        )
        return () => send(`/system/admins/${id}`, { method: 'PUT', token: root })
      },
    },
    {
      name: 'a member of 400 mandates deleted',
      mostKeys: 1210,
      prepare: async () => {
        const { id } = await person()
        await sql(
          `with made as (
              insert into mandates (slug, label)
              select gen_random_uuid(), 'Made by a test'
              from generate_series(1, 400)
              returning id
            )
        insert into user_mandates (user_id, mandate_id) select $1, id from made`,
          [id],
        )
        return () => send(`/admin/users/${id}`, { method: 'DELETE', token: petra })
      },
    },
    {
      name: 'a mandate with 5,000 members disabled',
      mostKeys: 1,
      prepare: async () => {
        const { mandateId } = await membersOf(5000)
        return () =>
          send(`/admin/mandates/${mandateId}`, {
            method: 'PATCH',
            token: petra,
            body: JSON.stringify({ enabled: false }),
          })
      },
    },
    {
      name: 'a mandate with 5,000 members deleted',
      mostKeys: 10_010,
      prepare: async () => {
        const { mandateId } = await membersOf(5000)
        return () => send(`/admin/mandates/${mandateId}`, { method: 'DELETE', token: petra })
      },
    },
    {
      name: 'a role that 2,000 members hold deleted',
      mostKeys: 2010,
      prepare: async () => {
        const { mandateId } = await membersOf(2000)
        const role = await directory.role({ mandateId })
        await sql(
          `insert into user_mandate_roles (user_mandate_id, role_id)
            select id, $2
            from user_mandates
            where mandate_id = $1`,
          [mandateId, role],
        )
        return () => send(`/admin/roles/${role}`, { method: 'DELETE', token: petra })
      },
    },
    {
      name: 'a portal client with 400 links deleted',
      mostKeys: 3,
      prepare: async () => {
        const client = randomUUID()
        await sql(
          `insert into portal_clients (id, mandate_id, name, slug) values ($1, $2, 'Many links', $3)`,
          [client, mandates.globex, `many-${randomBytes(4).toString('hex')}`],
        )
        await sql(
          `insert into portal_access_tokens (client_id, token_hash)
            select $1::uuid, encode(sha256(($1::text || n)::bytea), 'hex')
            from generate_series(1, 400) as n`,
          [client],
        )
        return async () => {
          await sql('delete from portal_clients where id = $1', [client])
          return await send('/auth/me', { token: petra })
        }
      },
    },
    {
      name: 'old logins forgotten',
      mostKeys: 0,
      prepare: async () => {
        const { id } = await person()
        await sql(
          `insert into tokens (user_id, authority, expires_at)
            select $1, 'local', now() - interval '30 days'
            from generate_series(1, 450)`,
          [id],
        )
        return async () => {
          const pool = connectDatabase({ url: gateway.database.url, setRole: false })
          await forgetOldLogins(pool)
          await pool.close()
          return await send('/auth/me', { token: petra })
        }
      },
    },
  ]

  it.each(acts)('$name', async ({ mostKeys, prepare }) => {
    const act = await prepare()
    const others = await Promise.all(
      (['alice', 'dave', 'carol'] as const).map(
        async (name) => (await tokenFor(gateway.database, name)).token,
      ),
    )
    const rememberedOf = () =>
      Promise.all(
        others.map(
          async (token) =>
            (await send('/auth/context', { token, headers: { 'X-Mandate-Id': mandates.acme } })).status,
        ),
      )
    // What the preparation announced has been heard of, once two rounds ask nothing.
    await until(async () => {
      const before = await misses()
      await rememberedOf()
      await rememberedOf()
      return (await misses()) === before
    })
    const statuses = await rememberedOf()
    await send('/auth/me', { token: petra })
    await sql('truncate public.announced')

    const answer = await act()

    expect(answer.status).toBeLessThan(300)
    const announced = (await sql<{ key: string }>('select distinct key from public.announced')).map(
      ({ key }) => key,
    )
    const before = await misses()
    expect(await rememberedOf()).toEqual(statuses)
    expect({ everything: announced.includes('*'), readAgain: await misses() }).toEqual({
      everything: false,
      readAgain: before,
    })
    expect(announced.length).toBeLessThanOrEqual(mostKeys)
  })
})
