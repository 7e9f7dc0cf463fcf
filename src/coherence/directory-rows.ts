import type { CompiledPolicy } from '../domain/assurance-policy.js'
import type { Action, Level, RuleContext } from '../domain/permissions.js'

/** A user as responses show one. */
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
  /** Milliseconds since 1970, by the database's clock. */
  issuedAtMs: number
}

/** How and when the person of a session was proved. Times are milliseconds since 1970; null for never. */
export interface Proof {
  authTimeMs: number | null
  mfaAtMs: number | null
  phrAtMs: number | null
  /** The methods (RFC 8176). */
  amr: readonly string[]
}

/**
 * The session of a token, with the proof that the token has: an older token keeps what its session had before
 * it was proved again.
 */
export interface SessionState extends Proof {
  /** Milliseconds since 1970. */
  createdAtMs: number
  /**
   * When a request was admitted last where a policy asks for it; null for never. Changes of it are not
   * announced.
   */
  lastUsedAtMs: number | null
}

/**
 * What the directory says about a login: the user by name, the token by id, and the key that signed it. Each
 * is undefined where it does not exist.
 */
export interface PrincipalState {
  user: (User & { enabled: boolean; isServiceAccount: boolean }) | undefined
  token: TokenState | undefined
  /** Undefined for a token without one. */
  session: SessionState | undefined
  /** Whether the key that signed the token has been retired. */
  keyRetired: boolean
}

/** A user's row in a mandate or on an instance. */
export interface Grant {
  id: string
  enabled: boolean
  roleIds: string[]
}

/** What the directory says about a requested mandate or instance, and about one user in it. */
export interface Placement {
  /** The mandate that was asked for, or the instance's own. */
  mandate: { id: string; enabled: boolean } | undefined
  /** The policy of the mandate; undefined where it asks nothing. */
  policy: CompiledPolicy | undefined
  membership:
    | (Grant & {
        /** Whether the mandate's admins see the user's address and full name. */
        profileShown: boolean
      })
    | undefined
  instance: { id: string; mandateId: string; enabled: boolean } | undefined
  access: Grant | undefined
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
}

/** A portal link, with its client and their mandate. */
export interface PortalLink {
  id: string
  label: string | null
  revoked: boolean
  /** Milliseconds since 1970; Infinity for a link without an end. */
  expiresAtMs: number
  client: { id: string; name: string; active: boolean }
  mandate: { id: string; enabled: boolean }
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
}

/** What a user may do with an item: whether they see it, and how far each action reaches. */
export interface Permission extends Record<Action, Level> {
  view: boolean
}

/** An access rule, with the scope of the role that it belongs to. */
export interface ScopedRule extends Permission {
  roleId: string
  roleMandateId: string | null
  roleInstanceId: string | null
  context: RuleContext
  item: string | null
}
