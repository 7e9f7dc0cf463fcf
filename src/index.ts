/** What a program that embeds the gateway may import. */
export {
  allowAnyone,
  gateway,
  requirePermission,
  requirePlatformAdmin,
  requireSysAdmin,
  requireUser,
} from './embedded.js'
export type { EmbeddedGateway, GatewayOptions, Place } from './embedded.js'
export type { Principal } from './authentication/principal.js'
export type { Permission } from './authorization/permissions.js'
export { permissionIn } from './authorization/permissions.js'
export type { User } from './coherence/directory.js'
export { ConfigError } from './config.js'
export type { PrioritisedRule, RequestContext } from './context/request-context.js'
export type { Action } from './domain/permissions.js'
export type { RequestState } from './gateway/request-state.js'
export { GatewayError, type ErrorCode } from './errors.js'
export type { Policy, Subject } from './http/endpoint/policy.js'
export { RouteTableError } from './proxy/route-table.js'
