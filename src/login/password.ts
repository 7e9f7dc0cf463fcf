import { hash, verify } from '@node-rs/argon2'
import { createFairQueue } from './fair-queue.js'

/** OWASP's choice for argon2id, which is the library's default kind: 19 MiB, two passes. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
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

/** Hashes and checks passwords (argon2id), a bounded number at a time, in turn between lanes. */
export interface Passwords {
  hash: (password: string) => Promise<string>
  /**
   * Whether `password` is the one of `passwordHash`. Takes as long where there is no hash to compare with.
   * Throws `overloaded` when too many wait.
   */
  matches: (passwordHash: string | null | undefined, password: string, turn: Turn) => Promise<boolean>
}

/** Starts the bounded queue of hashes. The decoy's hash is made once, of a random password. */
export function createPasswords(): Passwords {
  const queue = createFairQueue({ atATime: concurrentHashes, maxWaiting })
  const decoy = hash(crypto.randomUUID(), parameters)
  return {
    hash: (password) => queue.run('new passwords', () => hash(password, parameters)),
    matches: async (passwordHash, password, { lane, mayGoOn }) => {
      if (Buffer.byteLength(password) > maxPasswordBytes) return false
      const known = passwordHash ?? await decoy
      return await queue.run(lane, async () => {
        await mayGoOn?.()
        try {
          return await verify(known, password)
        } catch {
          return false // a stored hash that is none matches nothing
        }
      }) && passwordHash !== null && passwordHash !== undefined
    },
  }
}
