import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, type HttpResponse } from '../support/http-client.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { mandates } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

let gateway: TestGateway
let directory: ReturnType<typeof directoryOf>
let stranger: Newcomer
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  directory = directoryOf(gateway.database)
  stranger = await directory.user()
})
afterAll(async () => {
  await gateway.stop()
})

const enter = (place: { mandate?: string; instance?: string }, { token } = stranger): Promise<HttpResponse> =>
  sendRequest(gateway.url, '/auth/context', {
    headers: {
      Authorization: `Bearer ${token}`,
      ...(place.mandate ? { 'X-Mandate-Id': place.mandate } : {}),
      ...(place.instance ? { 'X-Instance-Id': place.instance } : {}),
    },
  })
const codeOf = ({ text }: HttpResponse) => (JSON.parse(text) as { code?: string }).code

/** Asks until the answer comes from memory: then the table may be away. */
const fromMemory = (place: Parameters<typeof enter>[0]) =>
  until(async () => {
    await enter(place)
    const answer = await withoutTable(gateway.database, 'user_mandates', () => enter(place))
    return answer.status === 503 ? undefined : answer
  })

describe('a question about a foreign place is answered from memory, and takes the same time for any place', () => {
  it('also if the mandate does not exist', async () => {
    expect(codeOf(await fromMemory({ mandate: mandates.globex }))).toBe('not_a_member')
    expect(codeOf(await fromMemory({ mandate: randomUUID() }))).toBe('not_a_member')
  })
  it('also if the instance does not exist', async () => {
    const instance = await directory.instance(mandates.globex)
    expect(codeOf(await fromMemory({ instance }))).toBe('no_instance_access')
    expect(codeOf(await fromMemory({ instance: randomUUID() }))).toBe('no_instance_access')
  })
})

describe('a place that was asked about before it existed is known once it exists', () => {
  const insertMandate = (id: string) =>
    gateway.database.sql(`insert into mandates (id, slug, label) values ($1, $2, 'Made by a test')`, [id, id])

  it('a mandate', async () => {
    const [id, member] = [randomUUID(), await directory.user()]
    expect(codeOf(await enter({ mandate: id }, member))).toBe('not_a_member')
    await insertMandate(id)
    await directory.join(member.id, id)
    const answer = await until(async () => {
      const now = await enter({ mandate: id }, member)
      return now.status === 200 ? now : undefined
    })
    expect(JSON.parse(answer.text)).toMatchObject({ mandateId: id })
  })
  it('an instance, alone and in its mandate', async () => {
    const [id, member] = [randomUUID(), await directory.user()]
    await directory.join(member.id, mandates.acme)
    const places = [{ instance: id }, { instance: id, mandate: mandates.acme }]
    for (const place of places) expect(codeOf(await enter(place, member))).toBe('no_instance_access')
    await gateway.database.sql(
      `insert into feature_instances (id, mandate_id, feature_code, label) values ($1, $2, 'crm', 'Made by a test')`,
      [id, mandates.acme],
    )
    await directory.grant(member.id, id)
    for (const place of places) {
      await until(async () => ((await enter(place, member)).status === 200 ? true : undefined))
    }
  })
})
