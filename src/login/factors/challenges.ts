import { randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { createSealing, type SealingSecrets } from '../../domain/sealing.js'
import type { Sql, Tx } from '../../database/connect.js'
import { insertAttempt, spendChallenge } from './challenge-queries.js'

const content = z.strictObject({
  id: z.uuid(),
  /** What it may be answered for. */
  purpose: z.enum(['login', 'sign-in', 'enrol', 'step-up']),
  /** Whose it is; null where the passkey says who it is. */
  userId: z.uuid().nullable(),
  /** The session in which it was asked for; null where there is none yet. */
  sessionId: z.uuid().nullable(),
  /** Stands for the password that was right before it; null where none was asked. */
  passwordMark: z.string().nullable(),
  /** What a passkey signs, in base64url. */
  webauthn: z.string(),
  expiresAtMs: z.number(),
})

/** A question that somebody proves themself by answering, once. */
export type Challenge = z.infer<typeof content>

type Asked = Pick<Challenge, 'purpose' | 'userId'> & Partial<Pick<Challenge, 'sessionId' | 'passwordMark'>>

/** Wrong answers that end a challenge. */
const mostAttempts = 5
const lifetimeMs = 300_000
const webauthnBytes = 32

/** Makes and opens challenges. They are kept by whoever is asked, sealed; the database knows answered ones only. */
export interface Challenges {
  make: (asked: Asked) => { challenge: Challenge; sealed: string }
  /** Returns a challenge of that purpose; undefined for one that expired or that was made for something else. */
  open: (sealed: string, purpose: Challenge['purpose']) => Challenge | undefined
}

/** Seals challenges with SECRET_KEY. */
export function createChallenges(secrets: SealingSecrets, now: () => number = Date.now): Challenges {
  const sealing = createSealing(secrets, 'challenges')
  return {
    make: ({ purpose, userId, sessionId = null, passwordMark = null }) => {
      const challenge: Challenge = {
        id: randomUUID(),
        purpose,
        userId,
        sessionId,
        passwordMark,
        webauthn: randomBytes(webauthnBytes).toString('base64url'),
        expiresAtMs: now() + lifetimeMs,
      }
      return { challenge, sealed: sealing.seal(JSON.stringify(challenge)) }
    },
    open: (sealed, purpose) => {
      const text = sealing.unseal(sealed)
      if (text === undefined) return undefined
      const challenge = content.parse(JSON.parse(text))
      return challenge.purpose === purpose && challenge.expiresAtMs > now() ? challenge : undefined
    },
  }
}

/**
 * Counts an attempt before it is looked at, so that several at once do not pass together. Returns false where
 * the challenge was answered, or five attempts were wrong.
 */
export const beginAttempt = (sql: Sql, { id, expiresAtMs }: Challenge, userId: string): Promise<boolean> =>
  insertAttempt(sql, { id, userId, expiresAt: new Date(expiresAtMs), mostAttempts })

/** Uses a challenge up. Returns false where somebody else has: of two at once one wins. */
export const spend = (tx: Tx, { id, expiresAtMs }: Challenge, userId: string): Promise<boolean> =>
  spendChallenge(tx, { id, userId, expiresAt: new Date(expiresAtMs) })
