import type { Database } from '../database/connect.js'
import { findPlacement, findPrincipal, listRules } from './directory-queries.js'

/** A user as the gateway's answers show one. */
export interface User {
  id: string
  username: string
  email: string | null
  fullName: string | null
  isSysAdmin: boolean
  isPlatformAdmin: boolean
}

/** A token's row, and whether its session has ended. */
export interface TokenState {
  userId: string
  authority: string
  purpose: string
  status: string
  sessionId: string | null
  sessionEnded: boolean
  /** Milliseconds since 1970. */
  expiresAtMs: number
}

/** All that the directory says about a login: the user by name, the token by id, each where it exists. */
export interface PrincipalState {
  user: (User & { enabled: boolean }) | undefined
  token: TokenState | undefined
}

/** A user's row in a mandate or on an instance. */
export interface Grant {
  enabled: boolean
  roleIds: string[]
}

/** All that the directory says about a place and one user in it. */
export interface Placement {
  /** The mandate asked for, or the instance's own. */
  mandate: { id: string; enabled: boolean } | undefined
  membership: Grant | undefined
  instance: { id: string; mandateId: string; enabled: boolean } | undefined
  access: Grant | undefined
}

export type Level = 'n' | 'm' | 'g' | 'a'

/** An access rule, with the scope of the role that it belongs to. */
export interface ScopedRule {
  roleId: string
  roleMandateId: string | null
  roleInstanceId: string | null
  context: 'DATA' | 'UI' | 'RESOURCE'
  item: string | null
  view: boolean
  read: Level
  create: Level
  update: Level
  delete: Level
}

/** What a request's decision needs to know. Rejects with `directory_unavailable` when it cannot be asked. */
export interface Directory {
  principal: (username: string, tokenId: string) => Promise<PrincipalState>
  placement: (userId: string, mandateId: string | undefined, instanceId: string | undefined) => Promise<Placement>
  rules: (roleIds: string[]) => Promise<ScopedRule[]>
}

/** The directory as Postgres has it now: one statement for each question. */
export function readThroughDirectory(database: Database): Directory {
  return {
    principal: (username, tokenId) => findPrincipal(database, username, tokenId),
    placement: (userId, mandateId, instanceId) => findPlacement(database, userId, mandateId, instanceId),
    rules: async (roleIds) => roleIds.length === 0 ? [] : await listRules(database, roleIds),
  }
}
