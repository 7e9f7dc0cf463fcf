import type { AuditLog } from '../audit/audit-log.js'
import type { Sql } from '../database/connect.js'
import { networkOf, wideNetworkOf } from '../http/limit-rate.js'
import type { LimitAttempts, OnSpraying } from './failed-logins.js'
import type { Passwords } from './password.js'
import { findLoginUser, type LoginUser } from './session-queries.js'

/** A username and password as somebody sent them, and from where. */
export interface Credentials {
  username: string
  password: string
  address: string
  requestId: string
}

/** Answers the user whose credentials these are; undefined for an unknown or disabled user and for a wrong password alike. */
export type CheckPassword = (credentials: Credentials) => Promise<LoginUser | undefined>

interface Dependencies {
  sql: Sql
  passwords: Passwords
  limitAttempts: LimitAttempts
  audit: Pick<AuditLog, 'recordRefusal'>
}

/** Checks a username and password in the same time whether or not the user exists, is enabled, or has a password. Failures are audited; what was typed is not. */
export function checkPassword({ sql, passwords, limitAttempts, audit }: Dependencies): CheckPassword {
  return async ({ username: typed, password, address, requestId }) => {
    const username = typed.toLowerCase()
    return await limitAttempts({ username, address, requestId }, async (mayGoOn) => {
      const user = await findLoginUser(sql, username)
      const matches = await passwords.matches(user?.passwordHash, password, { lane: wideNetworkOf(address), mayGoOn })
      if (user?.enabled && matches) return user
      audit.recordRefusal({ userId: user?.id ?? null, mandateId: 'system', action: 'login_failed', details: { address }, requestId })
      return undefined
    })
  }
}

/** Records that an address has been shut out, once a minute, with the number of attempts that were refused since. */
export const auditSpraying = (audit: Pick<AuditLog, 'recordRefusal'>): OnSpraying => ({ address, requestId }, failures) =>
  audit.recordRefusal({ userId: null, mandateId: 'system', action: 'logins_limited', details: { address, failures }, requestId }, { by: networkOf(address), most: 1 })
