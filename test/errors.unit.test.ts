import { expect, it } from '@jest/globals'
import { errorTable, kindOf, type ErrorCode } from '../src/errors.js'

const codes = Object.keys(errorTable) as ErrorCode[]
const withStatus = (status: number) => codes.filter((code) => kindOf(code).status === status)

it('each 401 has a challenge (RFC 9110 §11.6.1), except the portal, whose clients have no token', () => {
  expect(withStatus(401).filter((code) => kindOf(code).challenge === undefined)).toEqual([
    'portal_access_required',
  ])
})

it('no other status has a challenge', () => {
  expect(codes.filter((code) => kindOf(code).status !== 401 && kindOf(code).challenge !== undefined)).toEqual(
    [],
  )
})

it('each 503 says when to try again', () => {
  expect(withStatus(503).filter((code) => kindOf(code).retryAfterSeconds === undefined)).toEqual([])
})
