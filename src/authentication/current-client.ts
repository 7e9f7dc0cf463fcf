import type { Request } from 'express'
import type { Directory, PortalLink } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { cookieValues } from '../http/cookies.js'
import { openSession, sessionSeconds, type SealKeys } from './portal-session.js'

/** A client of the portal, who has no user account but holds a link. */
export interface PortalClient {
  id: string
  name: string
  mandateId: string
  /** True for an operator who looks at the portal as this client sees it. */
  isPreview: boolean
  /** The link that admitted the client. It is the same object as long as it is remembered. */
  link: PortalLink
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
  /** Milliseconds since 1970: the session's end, or the link's. */
  expiresAtMs: number
}

interface Dependencies {
  directory: Pick<Directory, 'portalLink'>
  keys: SealKeys
  atMs: (req: Request) => number
}

/** The label of the links by which operators look at the portal. No other link has it. */
export const previewLabel = 'preview'

/** One refusal for every reason, so that it tells nothing. */
export const portalAccessRequired = () =>
  new GatewayError(
    'portal_access_required',
    'Access to the portal is required: open the link that you were given',
  )

/** Most cookies of one name that are read. */
const mostCookies = 8

/**
 * Returns the session in the cookie. Two of the gateway's own are none, because it is unknown which was
 * meant. Cookies of other applications do not count.
 */
function sessionOf(req: Request, keys: SealKeys, nowMs: number): ReturnType<typeof openSession> {
  const cookies = [...new Set(cookieValues(req.state.cookieHeader, 'portal_session'))].slice(0, mostCookies)
  const [session, other] = cookies
    .map((cookie) => openSession(cookie, keys, nowMs))
    .filter((opened) => opened !== undefined)
  return other ? undefined : session
}

function clientOf(link: PortalLink | undefined, issuedAt: number, nowMs: number): PortalClient {
  if (!link || link.revoked || link.expiresAtMs <= nowMs || !link.client.active || !link.mandate.enabled)
    throw portalAccessRequired()
  return {
    id: link.client.id,
    name: link.client.name,
    mandateId: link.mandate.id,
    isPreview: link.label === previewLabel,
    link,
    dependsOn: link.dependsOn,
    expiresAtMs: Math.min(link.expiresAtMs, (issuedAt + sessionSeconds) * 1000),
  }
}

/**
 * Identifies the portal's client, into `portalClient` of the request's state, or refuses with
 * `portal_access_required`. Link, client and mandate are checked each time, and waited for only when they are
 * not remembered. It is the only step that another way of signing in would replace.
 */
export function currentClient({ directory, keys, atMs }: Dependencies): Middleware {
  return (req, _res, next) => {
    const nowMs = atMs(req)
    const session = sessionOf(req, keys, nowMs)
    if (!session) throw portalAccessRequired()
    const link = directory.portalLink(session.linkId)
    if (link instanceof Promise) {
      return link.then((loaded) => {
        req.state.portalClient = clientOf(loaded, session.issuedAt, nowMs)
        next()
      })
    }
    req.state.portalClient = clientOf(link, session.issuedAt, nowMs)
    next()
    return undefined
  }
}
