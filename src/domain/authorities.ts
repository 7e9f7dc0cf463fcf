/** A provider that has variables of its own, such as `GOOGLE_CLIENT_ID`: its name in upper case comes first. */
interface KnownProvider {
  /** The name that people know it by. */
  label: string
  /** The issuer where `…_ISSUER` is not set. `{tenant}` stands for `…_TENANT`. */
  issuer: string
  /** The tenant where `…_TENANT` is not set. Only a provider with tenants has it. */
  defaultTenant?: string
}

const rows = {
  google: { label: 'Google', issuer: 'https://accounts.google.com' },
  msft: {
    label: 'Microsoft',
    issuer: 'https://login.microsoftonline.com/{tenant}/v2.0',
    defaultTenant: 'common',
  },
} as const satisfies Record<string, KnownProvider>

/** The name of a provider that has variables of its own. */
export type KnownAuthority = keyof typeof rows

/**
 * The table of the providers that have variables of their own. Variables, endpoints, buttons, API schemas and
 * the values of imports follow from its rows.
 */
export const knownProviders: Readonly<Record<KnownAuthority, KnownProvider>> = rows

/** The names of the known providers. */
export const knownAuthorities = Object.keys(rows).filter(
  (name): name is KnownAuthority => name in knownProviders,
)

/** The authority of every other OpenID provider. The row of the session says which one. */
export const otherAuthority = 'oidc'

/** The kinds of OpenID providers by which people sign in. */
export type SignInAuthority = KnownAuthority | typeof otherAuthority

/** Everything that proves who somebody is: `local` is a password or a secret of this gateway. */
export const authorities = ['local', ...knownAuthorities, otherAuthority] as const
export type Authority = (typeof authorities)[number]

/** Returns whether a text names an authority. */
export const isAuthority = (text: unknown): text is Authority => authorities.some((one) => one === text)
