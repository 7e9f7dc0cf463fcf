import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { sendRequest } from '../support/http-client.js'
import { tokenFor } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
})

/**
 * The context table as one statement over the rows, written anew: $1 user, $2 mandate, $3 instance (null: not
 * named).
 */
const oracle = `
with asked as (
  select u.id as user_id, u.is_sys_admin
    or u.is_platform_admin as platform, i.id as instance_id, i.mandate_id as instance_mandate,
      i.enabled as instance_enabled,
         coalesce($2::uuid, i.mandate_id) as place_id
    from users u left join feature_instances i on i.id = $3::uuid where u.id = $1::uuid
), rows as (
  select a.*, m.id as mandate_id, m.enabled as mandate_enabled, um.id as member_id,
      um.enabled as member_enabled, fa.id as access_id, fa.enabled as access_enabled
    from asked a
    left join mandates m on m.id = a.place_id
    left join user_mandates um on um.user_id = a.user_id and um.mandate_id = a.place_id
    left join feature_access fa on fa.user_id = a.user_id and fa.feature_instance_id = a.instance_id
)
select case
  when $2::uuid is null and $3::uuid is null then 'entered'
  when not member_enabled then 'membership_disabled'
  when place_id is not null
    and member_id is null
    and not platform then case when $2::uuid is null then 'no_instance_access' else 'not_a_member' end
  when $2::uuid is not null and mandate_id is null then 'mandate_not_found'
  when not mandate_enabled and not platform then 'mandate_disabled'
  when $3::uuid is null then 'entered'
  when instance_id is null and platform then 'instance_not_found'
  when instance_id is null or instance_mandate <> place_id then 'no_instance_access'
  when not access_enabled then 'feature_access_disabled'
  when (access_id is null or not instance_enabled) and not platform then 'no_instance_access'
  else 'entered' end as verdict,
  array(
      select role_id
      from user_mandate_roles
      where user_mandate_id = member_id
      union
      select role_id
      from feature_access_roles
      where feature_access_id = access_id
      order by 1
    )::text[] as roles
from rows`

const state = fc.constantFrom('absent', 'enabled', 'disabled')
const world = fc.record({
  level: fc.constantFrom('nobody', 'nobody', 'sysAdmin', 'platformAdmin'),
  mandates: fc.array(
    fc.record({
      enabled: fc.boolean(),
      membership: state,
      instances: fc.array(fc.record({ enabled: fc.boolean(), access: state }), { maxLength: 2 }),
    }),
    { minLength: 2, maxLength: 3 },
  ),
})

it('each caller is admitted to or refused each place as the rows say', async () => {
  const directory = directoryOf(gateway.database)
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(world, async ({ level, mandates }) => {
      const user = await directory.user({
        isSysAdmin: level === 'sysAdmin',
        isPlatformAdmin: level === 'platformAdmin',
      })
      const [mandateIds, instanceIds]: (string | undefined)[][] = [
        [undefined, randomUUID()],
        [undefined, randomUUID()],
      ]
      for (const mandate of mandates) {
        const mandateId = await directory.mandate({ enabled: mandate.enabled })
        mandateIds!.push(mandateId)
        const role = await directory.role({ mandateId })
        if (mandate.membership !== 'absent')
          await directory.join(user.id, mandateId, {
            enabled: mandate.membership === 'enabled',
            roles: [role],
          })
        for (const instance of mandate.instances) {
          const instanceId = await directory.instance(mandateId, { enabled: instance.enabled })
          instanceIds!.push(instanceId)
          if (instance.access !== 'absent')
            await directory.grant(user.id, instanceId, {
              enabled: instance.access === 'enabled',
              roles: [role, await directory.role({ mandateId, instanceId })],
            })
        }
      }
      for (const mandate of mandateIds!)
        for (const instance of instanceIds!) {
          const [row] = await gateway.database.sql<{ verdict: string; roles: string[] }>(oracle, [
            user.id,
            mandate ?? null,
            instance ?? null,
          ])
          const { status, text } = await sendRequest(gateway.url, '/auth/context', {
            headers: {
              Authorization: `Bearer ${user.token}`,
              ...(mandate ? { 'X-Mandate-Id': mandate } : {}),
              ...(instance ? { 'X-Instance-Id': instance } : {}),
            },
          })
          const answer = JSON.parse(text) as {
            code?: string
            roleIds?: string[]
            mandateId?: string | null
            featureInstanceId?: string | null
          }
          seen.add(row!.verdict)
          expect({
            level,
            mandates,
            mandate,
            instance,
            verdict: status === 200 ? 'entered' : answer.code,
          }).toMatchObject({ verdict: row!.verdict })
          if (status === 200)
            expect([answer.mandateId, answer.featureInstanceId, [...(answer.roleIds ?? [])].sort()]).toEqual([
              mandate ?? null,
              instance ?? null,
              row!.roles,
            ])
        }
    }),
    { numRuns: 8, endOnFailure: true },
  )
  expect(seen.size).toBeGreaterThanOrEqual(5)
}, 60_000)

it('the token is accepted everywhere else: the place caused each refusal', async () => {
  const { token } = await tokenFor(gateway.database, 'alice')
  expect(
    (await sendRequest(gateway.url, '/auth/context', { headers: { Authorization: `Bearer ${token}` } }))
      .status,
  ).toBe(200)
})
