import { hash, verify, type Options } from '@node-rs/argon2'
import bcrypt from 'bcrypt'
import { preparePassword } from '../authentication/precis.js'
import { createFairQueue } from './fair-queue.js'

/** OWASP's choice for argon2id, which is the library's default kind: 19 MiB, two passes. */
const parameters: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const ownKind = '$argon2id$v=19$m=19456,t=2,p=1'
const maxPasswordBytes = 1024
/** Hashes at a time: each holds a thread of the pool for tens of milliseconds. */
const concurrentHashes = 2
/** Beyond this many in waiting, an answer would come too late to be of use. */
const maxWaiting = 100

/** On whose behalf a password is checked. */
interface Turn {
  /** Whoever shares a lane waits for one another; lanes take turns. */
  lane: string
  /** Asked when the turn has come, before the work is done; what it rejects with is the answer. */
  mayGoOn?: () => Promise<void>
}

/** A password that is right. */
export interface Matched {
  /**
   * A hash to store in place of one that was imported, or made of the password as it was typed; undefined
   * where the stored one is as it should be.
   */
  replacement: string | undefined
}

/** Hashes and checks passwords, a bounded number at a time, in turn between lanes. */
export interface Passwords {
  /** The hash (argon2id) of a new password, prepared. */
  hash: (password: string) => Promise<string>
  /**
   * Compares a password with a stored hash (argon2 or bcrypt): prepared, then as typed. Resolves to undefined
   * where neither matches. Rejects with `overloaded` when too many wait.
   */
  check: (storedHash: string, password: string, turn: Turn) => Promise<Matched | undefined>
}

const isBcrypt = (stored: string) => /^\$2[aby]\$/.test(stored)
/** What PHP calls 2y is 2b elsewhere. */
const asNamedHere = (stored: string) => stored.replace(/^\$2y\$/, '$2b$')

async function verifyAny(stored: string, password: string): Promise<boolean> {
  try {
    return await (isBcrypt(stored) ? bcrypt.compare(password, asNamedHere(stored)) : verify(stored, password))
  } catch {
    return false // a stored hash that is none matches nothing
  }
}

const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const argon2Form =
  /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[+/A-Za-z0-9]{11,86}\$[+/A-Za-z0-9]{16,128}$/
/**
 * A check may take so much: beyond it each login of its owner, and each decoy like it, would hold the others
 * up.
 */
const most = { rounds: 14, memoryKiB: 1_048_576, passes: 20, lanes: 16 }

/** Returns whether a hash made elsewhere is one that `check` can compare, at a cost that a login may have. */
export function isCheckableHash(stored: string): boolean {
  const rounds = Number(bcryptForm.exec(stored)?.[1] ?? Number.NaN)
  if (!Number.isNaN(rounds)) return rounds >= 4 && rounds <= most.rounds
  const [memory = 0, passes = 0, lanes = 0] = argon2Form.exec(stored)?.slice(1).map(Number) ?? []
  return (
    memory >= 8 &&
    memory <= most.memoryKiB &&
    passes >= 1 &&
    passes <= most.passes &&
    lanes >= 1 &&
    lanes <= most.lanes
  )
}

/**
 * A hash that takes as long to verify as those of a kind (`$argon2id$v=19$m=65536,t=3,p=4`, `$2b$12`);
 * without a kind as our own.
 */
export async function hashLike(kind: string | undefined, password: string): Promise<string> {
  const rounds = /^\$2[aby]\$(\d\d)$/.exec(kind ?? '')?.[1]
  if (rounds !== undefined) return await bcrypt.hash(password, Number(rounds))
  const [, m, t, p] = /\$m=(\d+),t=(\d+),p=(\d+)$/.exec(kind ?? ownKind) ?? []
  return await hash(password, { memoryCost: Number(m), timeCost: Number(t), parallelism: Number(p) })
}

/** The forms in which a password may have been hashed, the one of now first. */
function formsOf(password: string): string[] {
  const prepared = preparePassword(password)
  return [...new Set(prepared === undefined ? [password] : [prepared, password])]
}

/** Starts the bounded queue of hashes. */
export function createPasswords(): Passwords {
  const queue = createFairQueue({ atATime: concurrentHashes, maxWaiting })
  return {
    hash: (password) =>
      queue.run('new passwords', () => hash(preparePassword(password) ?? password, parameters)),
    check: async (storedHash, password, { lane, mayGoOn }) => {
      if (Buffer.byteLength(password) > maxPasswordBytes) return undefined
      return await queue.run(lane, async () => {
        await mayGoOn?.()
        const forms = formsOf(password)
        for (const [index, form] of forms.entries()) {
          if (!(await verifyAny(storedHash, form))) continue
          const isCurrent = index === 0 && storedHash.startsWith(`${ownKind}$`)
          return { replacement: isCurrent ? undefined : await hash(forms[0] ?? password, parameters) }
        }
        return undefined
      })
    },
  }
}
