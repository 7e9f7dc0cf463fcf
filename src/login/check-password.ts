import type { AuditLog } from '../audit/audit-log.js'
import { namesOf } from '../authentication/precis.js'
import type { Sql } from '../database/connect.js'
import { networkOf, wideNetworkOf } from '../http/limits/limit-rate.js'
import type { DecoyOf } from './decoys.js'
import type { LimitAttempts, OnSpraying } from './failed-logins.js'
import type { Passwords } from './password.js'
import { improvePasswordHash } from './password-queries.js'
import { findLoginUser, type LoginUser } from './session-queries.js'

/** A username and password as somebody sent them, and from where. */
export interface Credentials {
  username: string
  password: string
  address: string
  requestId: string
}

/**
 * Returns the user whose credentials these are; undefined for an unknown or disabled user and for a wrong
 * password alike.
 */
export type CheckPassword = (credentials: Credentials) => Promise<LoginUser | undefined>

interface Dependencies {
  sql: Sql
  passwords: Passwords
  decoyOf: DecoyOf
  limitAttempts: LimitAttempts
  audit: Pick<AuditLog, 'recordRefusal'>
}

/**
 * Checks a username and password in the same time whether or not the user exists, is enabled, or has a
 * password. Failures are audited; what was typed is not. A hash that was imported, or made before passwords
 * were prepared, is replaced when its password is right.
 */
export function checkPassword({
  sql,
  passwords,
  decoyOf,
  limitAttempts,
  audit,
}: Dependencies): CheckPassword {
  return async ({ username: typed, password, address, requestId }) => {
    const names = namesOf(typed)
    const username = names.at(-1) ?? typed
    return await limitAttempts({ username, address, requestId }, async (mayGoOn) => {
      const user = await findLoginUser(sql, names)
      const decoy = await decoyOf(username)
      const matched = await passwords.check(user?.passwordHash ?? decoy, password, {
        lane: wideNetworkOf(address),
        mayGoOn,
      })
      if (user?.enabled && user.passwordHash !== null && matched) {
        const { replacement } = matched
        if (
          replacement === undefined ||
          !(await improvePasswordHash(sql, user.id, { from: user.passwordHash, to: replacement }))
        )
          return user
        return { ...user, passwordHash: replacement }
      }
      audit.recordRefusal({
        userId: user?.id ?? null,
        mandateId: 'system',
        action: 'login_failed',
        details: { address },
        requestId,
      })
      return undefined
    })
  }
}

/**
 * Records that an address has been shut out, once a minute, with the number of attempts that were refused
 * since.
 */
export const auditSpraying =
  (audit: Pick<AuditLog, 'recordRefusal'>): OnSpraying =>
  ({ address, requestId }, failures) =>
    audit.recordRefusal(
      {
        userId: null,
        mandateId: 'system',
        action: 'logins_limited',
        details: { address, failures },
        requestId,
      },
      { by: networkOf(address), most: 1 },
    )
