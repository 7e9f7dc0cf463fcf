import type { Sql } from '../database/connect.js'
import type { CompiledPolicy, PolicyArea } from '../domain/assurance-policy.js'
import {
  findAreaPolicy,
  findPlacement,
  findPortalLink,
  findPrincipal,
  listRulesOfRoles,
} from './directory-queries.js'
import type { PrincipalState, Placement, PortalLink, ScopedRule } from './directory-rows.js'
import type { Loaded, Memory } from './memory.js'

export type {
  User,
  TokenState,
  SessionState,
  PrincipalState,
  Placement,
  PortalLink,
  Permission,
  ScopedRule,
} from './directory-rows.js'

/** The verified claims that name a token's user and row. */
interface LoginClaims {
  username: string
  /** The username, and other forms in which it may be stored. */
  names: readonly string[]
  jti: string
  /** The id of the key that signed the token. */
  kid: string
}

/** A login: the claims of its token, and what the directory says about them. */
export interface Login<Claims> {
  claims: Claims
  state: PrincipalState
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
}

/**
 * What the decision of a request needs to know. It is returned at once where it is in memory. Rejects with
 * `directory_unavailable` when the directory cannot be asked, and with the errors of `verify`.
 */
export interface Directory {
  /** Returns the login of a token. Calls `verify` when the token is not in memory. */
  login: <Claims extends LoginClaims>(
    token: string,
    verify: (token: string) => Promise<Claims>,
  ) => Login<Claims> | Promise<Login<Claims>>
  placement: (
    userId: string,
    mandateId: string | undefined,
    instanceId: string | undefined,
  ) => Placement | Promise<Placement>
  /** Returns the portal link with that id. It is the same object until something of it changes. */
  portalLink: (id: string) => PortalLink | undefined | Promise<PortalLink | undefined>
  /** Returns the policy of an operators' area; undefined where it asks nothing. */
  areaPolicy: (area: PolicyArea) => CompiledPolicy | undefined | Promise<CompiledPolicy | undefined>
  /** Returns the rules of these roles. It is the same array until one of them changes. */
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
    // A missing token or user is not kept: its insert is not announced, and the user may be stored under
    // another form of the name.
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
    ...(mandate === undefined
      ? []
      : [`mandate:${mandate}`, `policy:${mandate}`, `membership:${userId}:${mandate}`]),
    ...(membership ? [`member:${membership.id}`] : []),
    ...(instance === undefined ? [] : [`instance:${instance}`, `access:${userId}:${instance}`]),
    ...(access ? [`accessor:${access.id}`] : []),
  ]
  // A missing row is remembered like an existing one. Otherwise the response time would tell which of them it
  // was.
  return { value: { ...placement, dependsOn }, keys: dependsOn, keep: true }
}

async function loadPortalLink(sql: Sql, id: string): Promise<Loaded<PortalLink | undefined>> {
  const link = await findPortalLink(sql, id)
  const dependsOn = [
    `link:${id}`,
    ...(link ? [`client:${link.client.id}`, `mandate:${link.mandate.id}`] : []),
  ]
  // A missing link is not kept: its insert is not announced.
  return { value: link && { ...link, dependsOn }, keys: dependsOn, keep: link !== undefined }
}

/** Returns the key under which changes of a role and of its rules are announced. */
export const roleKey = (roleId: string) => `role:${roleId}`

/**
 * Creates the directory of this node. It answers from memory while the node holds a lease, else from the
 * database.
 */
export function createDirectory({ sql, memory }: { sql: Sql; memory: Memory }): Directory {
  return {
    // Each kind of entry has its own prefix, so that no token can name an entry of another kind.
    login: (token, verify) => memory.read(`token ${token}`, () => loadLogin(sql, token, verify)),
    placement: (userId, mandateId, instanceId) =>
      memory.read(`place ${userId} ${mandateId ?? ''} ${instanceId ?? ''}`, () =>
        loadPlacement(sql, userId, mandateId, instanceId),
      ),
    areaPolicy: (area) =>
      memory.read(`area ${area}`, async () => ({
        value: await findAreaPolicy(sql, area),
        keys: [`policy:${area}`],
        keep: true,
      })),
    portalLink: (id) => memory.read(`link ${id}`, () => loadPortalLink(sql, id)),
    rules: (roleIds) =>
      roleIds.length === 0
        ? []
        : memory.read(`rules ${roleIds.join()}`, async () => ({
            value: await listRulesOfRoles(sql, roleIds),
            keys: roleIds.map(roleKey),
            keep: true,
          })),
  }
}
