import { callerHeaders } from './caller-headers.js'

/** RFC 9110 §7.6.1, and its predecessors' names. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]

/** Headers that the gateway writes itself, whatever the client says. */
const rebuilt = [
  'x-request-id',
  'traceparent',
  'forwarded',
  'host',
  'expect',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-prefix',
]

/**
 * Headers by which a proxy can tell common software another method, path, host or scheme than the one that
 * was decided on.
 */
const overrides = [
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-rewrite-url',
  'x-script-name',
  'script-name',
  'x-request-uri',
  'x-ingress-path',
  'x-host',
  'x-http-host-override',
  'x-http-destinationurl',
  'x-scheme',
  'x-url-scheme',
  'x-http-scheme',
  'x-client-scheme',
  'front-end-https',
  'x-arr-ssl',
  'proxy',
  'x-middleware-subrequest',
  'x-sendfile-type',
]

/** Headers by which it takes the client's address from a proxy. */
const addresses = [
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'x-true-client-ip',
  'x-cluster-client-ip',
  'http-client-ip',
  'proxy-client-ip',
  'wl-proxy-client-ip',
  'x-forwarded',
  'forwarded-for',
  'forwarded-for-ip',
  'x-originating-ip',
  'x-remote-ip',
  'x-remote-addr',
  'x-remote-host',
  'remote-addr',
  'x-proxyuser-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'cf-visitor',
  'fastly-client-ip',
  'fly-client-ip',
  'do-connecting-ip',
  'incap-client-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-nf-client-connection-ip',
  'cloudfront-viewer-address',
  'cloudfront-forwarded-proto',
  'ali-cdn-real-ip',
]

/** Headers by which it takes an identity from a proxy. */
const identities = [
  'remote-user',
  'remote-groups',
  'remote-name',
  'remote-email',
  'x-remote-user',
  'x-remote-group',
  'x-remote-groups',
  'x-authenticated-user',
  'x-authenticated-userid',
  'x-vouch-user',
  'x-anonymous-consumer',
  'client-cert',
  'client-cert-chain',
  'x-client-cert',
  'x-client-dn',
  'x-client-verify',
  'x-arr-clientcert',
  'x-amzn-oidc-identity',
  'x-amzn-oidc-data',
  'x-amzn-oidc-accesstoken',
  'x-goog-authenticated-user-email',
  'x-goog-authenticated-user-id',
  'x-goog-iap-jwt-assertion',
]

/** Families of such headers, by how their names begin. */
const families = [
  'x-forwarded-',
  'x-original-',
  'x-accel-',
  'x-envoy-',
  'x-appengine-',
  'ssl-client-',
  'x-ssl-',
  'x-tls-client-',
  'x-auth-request-',
  'x-webauth-',
  'x-consumer-',
  'x-credential-',
  'x-authentik-',
  'x-pomerium-',
  'x-ms-client-principal',
  'cf-access-',
  'tailscale-user-',
]

const dropped = new Set<string>([
  ...callerHeaders,
  ...hopByHop,
  ...rebuilt,
  ...overrides,
  ...addresses,
  ...identities,
])

/** Names that clients may send in this spelling only. */
const placeHeaders = new Set(['x-mandate-id', 'x-instance-id'])

/** The policy of a client's header. */
export type HeaderPolicy = 'drop' | 'keep' | 'cookie' | 'authorization' | 'place' | 'protocols' | 'tracestate'

/** Returns a name as the most lenient program reads it: some take `X_User_Id` for `X-User-Id`. */
export const foldName = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

function headerPolicy(name: string, alsoDropped: ReadonlySet<string>): HeaderPolicy {
  const folded = foldName(name)
  if (alsoDropped.has(folded)) return 'drop'
  if (placeHeaders.has(name.toLowerCase())) return 'place'
  if (dropped.has(folded) || families.some((family) => folded.startsWith(family))) return 'drop'
  if (folded === 'content-length' && name.toLowerCase() !== folded) return 'drop'
  if (folded === 'cookie' || folded === 'tracestate') return folded
  if (folded === 'sec-websocket-protocol') return 'protocols'
  return folded === 'authorization' ? 'authorization' : 'keep'
}

const maxRemembered = 2000

/**
 * Returns the policy of each header name. Names in `alsoDropped` (folded) are dropped as well. It remembers
 * results, because clients send the same few names.
 */
export function headerPolicies(alsoDropped: ReadonlySet<string>): (name: string) => HeaderPolicy {
  const remembered = new Map<string, HeaderPolicy>()
  return (name) => {
    const known = remembered.get(name)
    if (known) return known
    const policy = headerPolicy(name, alsoDropped)
    if (remembered.size < maxRemembered && name.length <= 64) remembered.set(name, policy)
    return policy
  }
}

/**
 * Request headers that a route file may neither set nor remove: those of the caller, of the request's origin,
 * of its framing and of its trace.
 */
const reserved = new Set<string>([
  ...callerHeaders,
  ...hopByHop,
  ...rebuilt,
  'content-length',
  'via',
  'tracestate',
  'x-role-ids-digest',
])

/** Returns whether only the gateway may write a request header. */
export const isReservedOnRequests = (name: string) =>
  reserved.has(foldName(name)) || foldName(name).startsWith('sec-websocket-')
