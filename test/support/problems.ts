import { expect } from '@jest/globals'
import type { Response } from 'supertest'

/** The form of every refusal (RFC 9457), and what each must and must not carry beside its code. */
export function expectProblem(answer: Response, status: number, code: string, detail?: string): void {
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json\b/)
  expect(answer.body).toEqual({
    type: expect.any(String),
    title: expect.any(String),
    status,
    detail: detail ?? expect.any(String),
    code,
    requestId: answer.headers['x-request-id'],
  })
  expect(answer.headers['set-cookie']).toBeUndefined()
  if (status === 401 || status === 403) expect(answer.headers['cache-control']).toBe('no-store')
  if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer\b/)
}

/**
 * An answer without what tells one request from another: two refusals that look alike here are alike byte for
 * byte.
 */
export function withoutRequestId(answer: Response): string {
  const { date: _date, 'x-request-id': _id, ...headers } = answer.headers as Record<string, string>
  return JSON.stringify([answer.status, headers, answer.text.replace(String(answer.body.requestId), '')])
}
