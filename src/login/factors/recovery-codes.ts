import { Secret } from 'otpauth'
import { hashSecret } from '../../domain/secrets.js'
import type { Sql, Tx } from '../../database/connect.js'
import { deleteRecoveryCode, replaceRecoveryCodes } from './recovery-code-queries.js'

const howMany = 10
const codeBytes = 10 // 80 bits, which nobody guesses

/** What is stored of a code: nothing that it could be read from, and nothing equal for two users. */
const hashOf = (userId: string, typed: string) =>
  hashSecret(`recovery code ${userId} ${typed.replace(/[\s-]/g, '').toUpperCase()}`)

const makeCode = () => (new Secret({ size: codeBytes }).base32.match(/.{4}/g) ?? []).join('-')

/** Makes ten codes of 80 bits in the place of all that a user had. They are shown once. */
export async function issueRecoveryCodes(tx: Tx, userId: string): Promise<string[]> {
  const codes = Array.from({ length: howMany }, makeCode)
  await replaceRecoveryCodes(
    tx,
    userId,
    codes.map((code) => hashOf(userId, code)),
  )
  return codes
}

/** Uses a code up. Returns false for one that is none of the user's, or was used. */
export const useRecoveryCode = (tx: Tx | Sql, userId: string, typed: string): Promise<boolean> =>
  deleteRecoveryCode(tx, userId, hashOf(userId, typed))
