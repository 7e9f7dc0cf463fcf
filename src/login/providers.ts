import { knownProviders, type KnownAuthority } from '../domain/authorities.js'
import { GatewayError, notFound } from '../errors.js'
import type { SignInProvider } from './sign-in-provider.js'

/** Returns the provider with variables of its own. Throws `not_found` where it is not configured. */
export function knownProvider(
  providers: readonly SignInProvider[],
  authority: KnownAuthority,
): SignInProvider {
  const provider = providers.find((one) => one.authority === authority)
  if (!provider)
    throw new GatewayError(
      'not_found',
      `Signing in with ${knownProviders[authority].label} is not set up here`,
    )
  return provider
}

/**
 * Returns the provider of `OIDC_PROVIDERS` with this slug or id. Throws `not_found`; the error is the same
 * whatever is not there.
 */
export function listedProvider(providers: readonly SignInProvider[], name: string): SignInProvider {
  const listed = providers.filter(({ id }) => id !== null)
  const provider =
    listed.find(({ slug }) => slug === name) ?? listed.find(({ id }) => id === name.toLowerCase())
  if (!provider) throw notFound()
  return provider
}

/** Returns the one address to which a provider sends browsers back, so that providers are not mixed up. */
export const callbackUrl = (publicUrl: string, { path }: Pick<SignInProvider, 'path'>) =>
  `${publicUrl}${path}/callback`

/** Returns whether the provider of an identity is set up, so that its user can sign in by it. */
export const isSetUp = (
  providers: readonly SignInProvider[],
  { authority, providerId }: { authority: string; providerId?: string | undefined },
): boolean => providers.some((one) => one.authority === authority && one.id === (providerId ?? null))
