import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
const tokens: Record<string, string> = {}
beforeAll(async () => {
  gateway = await startTestGateway()
  for (const name of ['alice', 'bob', 'petra'] as const)
    tokens[name] = (await tokenFor(gateway.database, name)).token
})
afterAll(() => gateway.stop())

interface Problem {
  detail: string
  errors?: { path: string; message: string }[]
  reasons?: { path?: string; code: string; values: unknown }[]
}

async function problemOf(
  as: string,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = { Prefer: 'reasons' },
): Promise<Problem> {
  const answer = await sendRequest(gateway.url, path, {
    method,
    headers: {
      Authorization: `Bearer ${tokens[as] ?? ''}`,
      'X-Mandate-Id': mandates.acme,
      ...(body ? { 'Content-Type': 'application/json' } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return JSON.parse(answer.text) as Problem
}

describe('a refusal, for a client that prefers reasons,', () => {
  it('gives each faulty field a code with its values, in the order of errors', async () => {
    const { errors, reasons } = await problemOf('petra', 'POST', '/admin/mandates', {
      slug: 'No Slug',
      label: 'x'.repeat(201),
      more: true,
    })
    expect(errors).toEqual([
      {
        path: 'slug',
        message:
          'must be 1 to 100 lower-case letters, digits and hyphens, with a letter or digit at both ends',
      },
      { path: 'label', message: 'Too big: expected string to have <=200 characters' },
      { path: '', message: 'Unrecognized key: "more"' },
    ])
    expect(reasons).toEqual([
      { path: 'slug', code: 'slug', values: {} },
      { path: 'label', code: 'too_long', values: { max: 200 } },
      { path: '', code: 'unknown_fields', values: { names: 'more' } },
    ])
  })

  it('gives the choices of a field as a list', async () => {
    const { reasons } = await problemOf('alice', 'GET', '/auth/permissions?context=X')
    expect(reasons).toEqual([
      { path: 'context', code: 'choice', values: { choices: ['DATA', 'UI', 'RESOURCE'] } },
    ])
  })

  it('gives all of it a code with its values, where no field is at fault', async () => {
    const missing = await problemOf('petra', 'GET', `/admin/users/${mandates.acme}`)
    expect(missing.reasons).toEqual([{ code: 'nothing_here', values: {} }])
    const own = await problemOf('alice', 'DELETE', `/mandate/members/${users.alice}`)
    expect(own.reasons).toEqual([{ code: 'about_yourself', values: {} }])
    const denied = await problemOf('bob', 'GET', '/mandate/members')
    expect(denied).toMatchObject({
      detail: 'Permission denied: read on RESOURCE gateway.members',
      reasons: [
        {
          code: 'not_permitted',
          values: { action: 'read', context: 'RESOURCE', item: 'gateway.members' },
        },
      ],
    })
  })

  it('says the same as for any other client beside them', async () => {
    const [plain, other, asked] = [
      await problemOf('alice', 'GET', '/auth/permissions?context=X', undefined, {}),
      await problemOf('alice', 'GET', '/auth/permissions?context=X', undefined, { Prefer: 'return=minimal' }),
      await problemOf('alice', 'GET', '/auth/permissions?context=X', undefined, {
        Prefer: 'wait=1, reasons',
      }),
    ]
    expect(plain).not.toHaveProperty('reasons')
    expect(other).not.toHaveProperty('reasons')
    const { reasons, ...rest } = asked
    expect(reasons).toHaveLength(1)
    expect({ ...rest, requestId: '' }).toEqual({ ...plain, requestId: '' })
  })
})
