import { hash, verify } from '@node-rs/argon2'
import pLimit from 'p-limit'
import { GatewayError } from '../errors.js'

/** OWASP's choice for argon2id, which is the library's default kind: 19 MiB, two passes. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const maxPasswordBytes = 1024
/** Hashes at a time: each holds a thread of the pool for tens of milliseconds. */
const concurrentHashes = 2
/** Beyond this many in waiting, an answer would come too late to be of use. */
const maxWaiting = 100

/** Hashes and checks passwords (argon2id), a bounded number at a time. */
export interface Passwords {
  hash: (password: string) => Promise<string>
  /**
   * Whether `password` is the one of `passwordHash`. Takes as long where there is no hash to compare with.
   * Throws `overloaded` when too many wait.
   */
  matches: (passwordHash: string | null | undefined, password: string) => Promise<boolean>
}

/** Starts the bounded queue of hashes. The decoy's hash is made once, of a random password. */
export function createPasswords(): Passwords {
  const queue = pLimit(concurrentHashes)
  const bounded = <Result>(work: () => Promise<Result>) => {
    if (queue.pendingCount >= maxWaiting) throw new GatewayError('overloaded', 'Too many logins at once. Try again shortly.')
    return queue(work)
  }
  const decoy = hash(crypto.randomUUID(), parameters)
  return {
    hash: (password) => bounded(() => hash(password, parameters)),
    matches: async (passwordHash, password) => {
      if (Buffer.byteLength(password) > maxPasswordBytes) return false
      const known = passwordHash ?? await decoy
      return await bounded(async () => {
        try {
          return await verify(known, password)
        } catch {
          return false // a stored hash that is none matches nothing
        }
      }) && passwordHash !== null && passwordHash !== undefined
    },
  }
}
