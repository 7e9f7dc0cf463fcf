import { createHmac, randomUUID } from 'node:crypto'
import { minuteMs } from '../domain/time.js'
import type { Sql } from '../database/connect.js'
import { hashLike } from './password.js'
import { listHashKinds } from './password-queries.js'

/** Returns a hash that nobody's password matches, for a name that has none. */
export type DecoyOf = (name: string) => Promise<string>

interface Dependencies {
  sql: Sql
  /** Which decoy a name has is known to nobody else, and the same on all nodes. */
  secret: string
}

const refreshMs = 10 * minuteMs

interface Decoy {
  hash: string
  accounts: number
}

/**
 * Makes decoys that take as much work as the hashes that are stored: of each kind (algorithm and parameters),
 * for the same share of names. So the time of an answer does not tell a name that nobody has from one whose
 * hash was imported.
 */
export function createDecoys({ sql, secret }: Dependencies): DecoyOf {
  const load = async (): Promise<Decoy[]> => {
    const kinds = await listHashKinds(sql)
    const decoys = await Promise.all(
      kinds.map(async ({ kind, accounts }) => ({ hash: await hashLike(kind, randomUUID()), accounts })),
    )
    return decoys.length > 0 ? decoys : [{ hash: await hashLike(undefined, randomUUID()), accounts: 1 }]
  }
  let decoys: Promise<Decoy[]> | undefined
  let staleAt = 0
  const current = () => {
    if (decoys === undefined || performance.now() >= staleAt) {
      staleAt = performance.now() + refreshMs
      const before = decoys
      const loading = load()
      decoys = before === undefined ? loading : loading.catch(() => before)
      loading.catch(() => {
        if (before === undefined) decoys = undefined
      })
    }
    return decoys
  }
  return async (name) => {
    const all = await current()
    const [fallback] = all
    if (!fallback) throw new Error('there is always a decoy')
    const total = all.reduce((sum, { accounts }) => sum + accounts, 0)
    let place =
      (createHmac('sha256', secret).update(`decoy ${name}`).digest().readUInt32BE() / 2 ** 32) * total
    return (all.find(({ accounts }) => (place -= accounts) < 0) ?? fallback).hash
  }
}
