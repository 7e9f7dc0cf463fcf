import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
  knownAuthorities,
  knownProviders,
  otherAuthority,
  type KnownAuthority,
  type SignInAuthority,
} from './authorities.js'
import { isLoopbackHost } from './loopback.js'
import { url } from './variable-schemas.js'

/** A sign-in provider that is configured here. */
export interface ProviderSettings {
  authority: SignInAuthority
  /** The id of its row in `identity_providers`; null for a known provider, which needs none. */
  id: string | null
  /** Its name in paths. */
  slug: string
  /** The name that people know it by. */
  label: string
  /** Where its endpoints are: `/auth/google`, `/auth/providers/corp`. */
  path: string
  issuer: string
  clientId: string
  clientSecret: string
  /** Whether its issuer may be a template for many tenants, as Microsoft's is. */
  hasTenants: boolean
}

type KnownPrefix = Uppercase<KnownAuthority>
/** The names of the known providers' variables. */
type KnownVariable = `${KnownPrefix}_${'CLIENT_ID' | 'CLIENT_SECRET' | 'ISSUER' | 'TENANT'}`
/** The variables of sign-in providers by name. Those of `OIDC_PROVIDERS` are there, too. */
export type ProviderVariables = Partial<Record<KnownVariable, string | undefined>>

type Variable = z.ZodType<string | undefined>
type Values = Readonly<Record<string, unknown>>

const text = z.string()
const issuerUrl = url(['https:', 'http:'])
const plainIssuer = issuerUrl.refine((value) => {
  if (!URL.canParse(value)) return true // the check before says so
  const { search, hash, username, password } = new URL(value)
  return search + hash + username + password === ''
}, 'must have no query, no fragment, no name and no password')
const tenant = text.regex(
  /^[\w.-]+$/,
  'must be a tenant: its id, its domain, common, organizations or consumers',
)

const prefixOf = (authority: KnownAuthority) => authority.toUpperCase()
const prefixOfSlug = (slug: string) => `OIDC_${slug.toUpperCase().replaceAll('-', '_')}`

/** Accepts the slugs of `OIDC_PROVIDERS`, as a comma list. */
export const providerSlugs = text
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((slug) => slug.trim())
      .filter(Boolean),
  )
  .pipe(
    z
      .array(
        text.regex(
          /^[a-z][a-z0-9-]{0,39}$/,
          'must be a comma list of slugs: lower-case letters, digits and -, each beginning with a letter',
        ),
      )
      .max(50, 'must name at most 50 providers')
      .refine((slugs) => new Set(slugs).size === slugs.length, 'must name each provider once'),
  )

/** Returns the schemas of all providers' variables, by name. `slugs` are those of `OIDC_PROVIDERS`. */
export function providerSchemas(slugs: readonly string[]): Record<string, Variable> {
  const known = knownAuthorities.flatMap((authority): [string, Variable][] => {
    const prefix = prefixOf(authority)
    const hasTenants = knownProviders[authority].defaultTenant !== undefined
    return [
      [`${prefix}_CLIENT_ID`, text.optional()],
      [`${prefix}_CLIENT_SECRET`, text.optional()],
      [`${prefix}_ISSUER`, issuerUrl.optional()],
      ...(hasTenants ? [[`${prefix}_TENANT`, tenant.optional()] satisfies [string, Variable]] : []),
    ]
  })
  const listed = slugs.flatMap((slug): [string, Variable][] => {
    const prefix = prefixOfSlug(slug)
    return [
      [`${prefix}_ISSUER`, plainIssuer.optional()],
      [`${prefix}_CLIENT_ID`, text.optional()],
      [`${prefix}_CLIENT_SECRET`, text.optional()],
      [`${prefix}_LABEL`, text.max(100, 'must have at most 100 characters').optional()],
    ]
  })
  return Object.fromEntries([...known, ...listed])
}

const textOf = (values: Values, name: string): string | undefined => {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

function* issuerFaults(values: Values, name: string): Generator<string> {
  const issuer = textOf(values, name)
  if (issuer?.startsWith('http:') && !isLoopbackHost(new URL(issuer).hostname))
    yield `${name}: must start with https://, unless it is this machine`
}

/** Yields the faults that the variables of one provider have together, each with the name of a variable. */
export function* providerFaults(values: Values, slugs: readonly string[]): Generator<string> {
  for (const prefix of knownAuthorities.map(prefixOf)) {
    yield* issuerFaults(values, `${prefix}_ISSUER`)
    const id = values[`${prefix}_CLIENT_ID`]
    if (Boolean(id) !== Boolean(values[`${prefix}_CLIENT_SECRET`]))
      yield `${prefix}_CLIENT_${id ? 'SECRET' : 'ID'}: must be set too: both or neither`
  }
  for (const slug of slugs) {
    const prefix = prefixOfSlug(slug)
    yield* issuerFaults(values, `${prefix}_ISSUER`)
    for (const name of ['ISSUER', 'CLIENT_ID', 'CLIENT_SECRET'].map((part) => `${prefix}_${part}`))
      if (!values[name]) yield `${name}: must be set too: OIDC_PROVIDERS names ${slug}`
  }
}

/**
 * Returns the id of a provider's row. It depends on what decides whose a subject is: another issuer or client
 * under the same slug is another provider, to which no old identity belongs (UUID version 8, RFC 9562).
 */
function idOfProvider(slug: string, issuer: string, clientId: string): string {
  const bytes = createHash('sha256')
    .update(JSON.stringify([slug, issuer, clientId]))
    .digest()
    .subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Returns the sign-in providers that a configuration sets up, the known ones first. */
export function providerSettings(
  config: Values & { OIDC_PROVIDERS?: readonly string[] },
): ProviderSettings[] {
  const known = knownAuthorities.flatMap((authority): ProviderSettings[] => {
    const [prefix, row] = [prefixOf(authority), knownProviders[authority]]
    const [clientId, clientSecret] = [`${prefix}_CLIENT_ID`, `${prefix}_CLIENT_SECRET`].map((name) =>
      textOf(config, name),
    )
    if (!clientId || !clientSecret) return []
    const tenantOf = textOf(config, `${prefix}_TENANT`) ?? row.defaultTenant ?? ''
    const issuer = textOf(config, `${prefix}_ISSUER`) ?? row.issuer.replace('{tenant}', tenantOf)
    const path = `/auth/${authority}`
    const hasTenants = row.defaultTenant !== undefined
    return [
      {
        authority,
        id: null,
        slug: authority,
        label: row.label,
        path,
        issuer,
        clientId,
        clientSecret,
        hasTenants,
      },
    ]
  })
  const listed = (config.OIDC_PROVIDERS ?? []).flatMap((slug): ProviderSettings[] => {
    const [issuer, clientId, clientSecret, label] = ['ISSUER', 'CLIENT_ID', 'CLIENT_SECRET', 'LABEL'].map(
      (part) => textOf(config, `${prefixOfSlug(slug)}_${part}`),
    )
    if (!issuer || !clientId || !clientSecret) return []
    return [
      {
        authority: otherAuthority,
        id: idOfProvider(slug, issuer, clientId),
        slug,
        label: label ?? slug,
        path: `/auth/providers/${slug}`,
        issuer,
        clientId,
        clientSecret,
        hasTenants: false,
      },
    ]
  })
  return [...known, ...listed]
}

/** Returns whether a name is that of a variable of a provider that `OIDC_PROVIDERS` does not name. */
export const isUnlistedProvider = (name: string) =>
  /^OIDC_[A-Z0-9_]+_(?:ISSUER|CLIENT_ID|CLIENT_SECRET|LABEL)$/.test(name)
