import { createHash } from 'node:crypto'
import { MemoryStore } from 'express-rate-limit'
import type { RateLimit } from '../config.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { networkOf } from '../http/limit-rate.js'
import type { Passwords } from './password.js'
import { findLoginUser, type LoginUser } from './session-queries.js'

/** A username and password as somebody sent them, and from where. */
export interface Credentials {
  username: string
  password: string
  address: string
}

/** Answers the user whose credentials these are; undefined for an unknown or disabled user and for a wrong password alike. */
export type CheckPassword = (credentials: Credentials) => Promise<LoginUser | undefined>

interface Dependencies {
  sql: Sql
  passwords: Passwords
  /** Failed attempts by address and account together. */
  limit: RateLimit
}

/** Counts failed attempts, so that a guesser waits and the account's owner, elsewhere, does not. */
function failuresOf(limit: NonNullable<RateLimit>) {
  const store = new MemoryStore()
  store.init({ windowMs: limit.windowMs } as Parameters<MemoryStore['init']>[0])
  const keyOf = ({ address, username }: Credentials) =>
    createHash('sha256').update(`${networkOf(address)} ${username}`).digest('base64url')
  return {
    /** Counted before the password is checked, so that many attempts at once do not pass together. */
    countAttempt: async (credentials: Credentials) => {
      const { totalHits, resetTime } = await store.increment(keyOf(credentials))
      if (totalHits <= limit.requests) return
      const seconds = Math.max(1, Math.ceil(((resetTime?.getTime() ?? Date.now()) - Date.now()) / 1000))
      throw new GatewayError('rate_limited', `Too many failed logins. Try again in ${seconds} s.`, { headers: { 'Retry-After': String(seconds) } })
    },
    /** The attempt could not be checked, so it was none. */
    takeBack: (credentials: Credentials) => store.decrement(keyOf(credentials)),
    forget: (credentials: Credentials) => store.resetKey(keyOf(credentials)),
  }
}

/** Checks a username and password in the same time whether or not the user exists, is enabled, or has a password. */
export function checkPassword({ sql, passwords, limit }: Dependencies): CheckPassword {
  const failures = limit && failuresOf(limit)
  return async (credentials) => {
    const username = credentials.username.toLowerCase()
    const attempt = { ...credentials, username }
    await failures?.countAttempt(attempt)
    try {
      const user = await findLoginUser(sql, username)
      const matches = await passwords.matches(user?.passwordHash, credentials.password)
      if (!user?.enabled || !matches) return undefined
      await failures?.forget(attempt)
      return user
    } catch (error) {
      await failures?.takeBack(attempt)
      throw error
    }
  }
}
