import type { Request } from 'express'
import type { Directory, PortalLink } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { cookieValues } from '../http/cookies.js'
import { openSession, sessionSeconds, type SealKeys } from './portal-session.js'

/** A client of the portal, who has no user account: whoever holds a link of theirs. */
export interface PortalClient {
  id: string
  name: string
  mandateId: string
  /** True for an operator who looks at the portal as this client sees it. */
  isPreview: boolean
  /** What let the client in: the same object as long as it is remembered. */
  link: PortalLink
  /** The keys whose change makes this untrue. */
  dependsOn: readonly string[]
  /** Milliseconds since 1970: the session's end, or the link's. */
  expiresAtMs: number
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The client of the portal who is calling; only where the endpoint or route is the portal's. */
      portalClient?: PortalClient
    }
  }
}

interface Dependencies {
  directory: Pick<Directory, 'portalLink'>
  keys: SealKeys
  atMs: (req: Request) => number
}

/** The label of the links by which operators look at the portal. No link that is given out has it. */
export const previewLabel = 'preview'

/** One refusal for everything: which of the reasons it was concerns nobody. */
export const portalAccessRequired = () =>
  new GatewayError(
    'portal_access_required',
    'Access to the portal is required: open the link that you were given',
  )

/** Cookies of one name that are looked at. */
const mostCookies = 8

/**
 * The session of the cookie. Two that are ours are none, as nobody can say which was meant; what another
 * application has set does not count.
 */
function sessionOf(req: Request, keys: SealKeys, nowMs: number): ReturnType<typeof openSession> {
  const cookies = [...new Set(cookieValues(req.headers.cookie, 'portal_session'))].slice(0, mostCookies)
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
 * The one gate of the portal: finds out which client is calling, into `req.portalClient`, or refuses with
 * `portal_access_required`. Link, client and mandate are looked at each time, and waited for only where they
 * are not remembered. Another way of signing in takes the place of this and of nothing else.
 */
export function currentClient({ directory, keys, atMs }: Dependencies): Middleware {
  return (req, _res, next) => {
    const nowMs = atMs(req)
    const session = sessionOf(req, keys, nowMs)
    if (!session) throw portalAccessRequired()
    const link = directory.portalLink(session.linkId)
    if (link instanceof Promise) {
      return link.then((loaded) => {
        req.portalClient = clientOf(loaded, session.issuedAt, nowMs)
        next()
      })
    }
    req.portalClient = clientOf(link, session.issuedAt, nowMs)
    next()
    return undefined
  }
}
