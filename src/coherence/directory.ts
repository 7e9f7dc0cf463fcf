import type { Action, Level, RuleContext } from '../domain/permissions.js'
import type { Sql } from '../database/connect.js'
import { findPlacement, findPortalLink, findPrincipal, listRules } from './directory-queries.js'
import type { Loaded, Memory } from './memory.js'

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

/**
 * All that the directory says about a login: the user by name, the token by id, each where it exists; and its
 * key.
 */
export interface PrincipalState {
  user: (User & { enabled: boolean }) | undefined
  token: TokenState | undefined
  /** Whether the key that signed the token has been retired. */
  keyRetired: boolean
}

/** A user's row in a mandate or on an instance. */
export interface Grant {
  id: string
  enabled: boolean
  roleIds: string[]
}

/** All that the directory says about a place and one user in it. */
export interface Placement {
  /** The mandate asked for, or the instance's own. */
  mandate: { id: string; enabled: boolean } | undefined
  membership:
    | (Grant & {
        /** Whether the mandate's admins see the user's address and full name. */
        profileShown: boolean
      })
    | undefined
  instance: { id: string; mandateId: string; enabled: boolean } | undefined
  access: Grant | undefined
  /** The keys whose change makes this untrue. */
  dependsOn: readonly string[]
}

/** A portal link as it stands, with the client whose it is and the mandate around both. */
export interface PortalLink {
  id: string
  label: string | null
  revoked: boolean
  /** Milliseconds since 1970; Infinity for a link without an end. */
  expiresAtMs: number
  client: { id: string; name: string; active: boolean }
  mandate: { id: string; enabled: boolean }
  /** The keys whose change makes this untrue. */
  dependsOn: readonly string[]
}

/** What somebody may do with an item: see it, and to how much of it each action reaches. */
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

/** What names a token's user and row: claims that have been verified. */
interface LoginClaims {
  username: string
  /** The username, and other ways in which it may be stored. */
  names: readonly string[]
  jti: string
  /** The id of the key that signed the token. */
  kid: string
}

/** A login as it stands: what its token claims, and what the directory says to that. */
export interface Login<Claims> {
  claims: Claims
  state: PrincipalState
  /** The keys whose change makes this untrue. */
  dependsOn: readonly string[]
}

/**
 * What a request's decision needs to know: at once where it is remembered. Rejects with
 * `directory_unavailable` when the directory cannot be asked, and with whatever `verify` rejects with.
 */
export interface Directory {
  /** The login of a token; `verify` is asked when the token is not remembered. */
  login: <Claims extends LoginClaims>(
    token: string,
    verify: (token: string) => Promise<Claims>,
  ) => Login<Claims> | Promise<Login<Claims>>
  placement: (
    userId: string,
    mandateId: string | undefined,
    instanceId: string | undefined,
  ) => Placement | Promise<Placement>
  /** The portal link with that id, if there is one; the same object until something of it changes. */
  portalLink: (id: string) => PortalLink | undefined | Promise<PortalLink | undefined>
  /** The rules of these roles; the same array until one of them changes. */
  rules: (roleIds: string[]) => ScopedRule[] | Promise<ScopedRule[]>
}

async function loadLogin<Claims extends LoginClaims>(
  sql: Sql,
  token: string,
  verify: (token: string) => Promise<Claims>,
): Promise<Loaded<Login<Claims>>> {
  const claims = await verify(token)
  const state = await findPrincipal(sql, claims)
  const dependsOn = [
    `key:${claims.kid}`,
    `token:${claims.jti}`,
    `username:${claims.username}`,
    ...(state.user ? [`user:${state.user.id}`] : []),
    ...(state.token?.sessionId ? [`session:${state.token.sessionId}`] : []),
  ]
  return {
    value: { claims, state, dependsOn },
    keys: dependsOn,
    // A token's row may yet come: its insert is not announced. So may a user whose name is written otherwise.
    keep: state.token !== undefined && state.user !== undefined,
  }
}

async function loadPlacement(
  sql: Sql,
  userId: string,
  mandateId: string | undefined,
  instanceId: string | undefined,
): Promise<Loaded<Placement>> {
  const placement = await findPlacement(sql, userId, mandateId, instanceId)
  const { membership, access } = placement
  const [mandate, instance] = [placement.mandate?.id ?? mandateId, placement.instance?.id ?? instanceId]
  const dependsOn = [
    ...(mandate === undefined ? [] : [`mandate:${mandate}`, `membership:${userId}:${mandate}`]),
    ...(membership ? [`member:${membership.id}`] : []),
    ...(instance === undefined ? [] : [`instance:${instance}`, `access:${userId}:${instance}`]),
    ...(access ? [`accessor:${access.id}`] : []),
  ]
  // What does not exist is remembered like what does: else the time of an answer would tell strangers which
  // of two it was.
  return { value: { ...placement, dependsOn }, keys: dependsOn, keep: true }
}

async function loadPortalLink(sql: Sql, id: string): Promise<Loaded<PortalLink | undefined>> {
  const link = await findPortalLink(sql, id)
  const dependsOn = [
    `link:${id}`,
    ...(link ? [`client:${link.client.id}`, `mandate:${link.mandate.id}`] : []),
  ]
  // A link may yet come: its insert is not announced.
  return { value: link && { ...link, dependsOn }, keys: dependsOn, keep: link !== undefined }
}

/** The key under which changes of a role and its rules are announced. */
export const roleKey = (roleId: string) => `role:${roleId}`

/**
 * The directory as this node knows it: from memory while it holds a lease, else as the database has it now.
 */
export function createDirectory({ sql, memory }: { sql: Sql; memory: Memory }): Directory {
  return {
    // Each kind has its own first word: whatever a token says, it is not taken for another kind.
    login: (token, verify) => memory.read(`token ${token}`, () => loadLogin(sql, token, verify)),
    placement: (userId, mandateId, instanceId) =>
      memory.read(`place ${userId} ${mandateId ?? ''} ${instanceId ?? ''}`, () =>
        loadPlacement(sql, userId, mandateId, instanceId),
      ),
    portalLink: (id) => memory.read(`link ${id}`, () => loadPortalLink(sql, id)),
    rules: (roleIds) =>
      roleIds.length === 0
        ? []
        : memory.read(`rules ${roleIds.join()}`, async () => ({
            value: await listRules(sql, roleIds),
            keys: roleIds.map(roleKey),
            keep: true,
          })),
  }
}
