import { decodeProtectedHeader } from 'jose'
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  ClientSecretBasic,
  ClientSecretPost,
  clockTolerance,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  ResponseBodyError,
  type Configuration,
  type IDToken,
  type ServerMetadata,
} from 'openid-client'
import { hourMs } from '../domain/time.js'
import { providerSettings, type ProviderSettings } from '../domain/provider-settings.js'
import { isUuid } from '../domain/ids.js'
import type { Config } from '../config.js'
import type { SignInFlow } from './sign-in-flow.js'
import { asMetadataError, asSignInError, refused } from './sign-in-errors.js'

/** Somebody as an authority knows them: the subject is the issuer's, and nobody else's. */
export interface Identity {
  issuer: string
  subject: string
  /** For people to read: an address proves nothing about who somebody is here. */
  email: string | null
}

/** A provider that vouches for people (OpenID Connect Core 1.0, code flow with PKCE). */
export interface SignInProvider extends Omit<ProviderSettings, 'clientId' | 'clientSecret' | 'issuer'> {
  /** Returns where to send the browser, and what to know when it comes back. */
  begin: (
    redirectUri: string,
    loginHint?: string,
  ) => Promise<{ url: string; flow: Pick<SignInFlow, 'state' | 'nonce' | 'codeVerifier'> }>
  /**
   * Exchanges what the browser brought back for who it is. Throws `sign_in_refused`, `sign_in_invalid`,
   * `provider_failed` or `provider_unavailable`.
   */
  finish: (callback: URL, flow: SignInFlow) => Promise<Identity>
}

const timeoutSeconds = 5
const clockToleranceSeconds = 60
const rediscoverAfterMs = hourMs
const tenantTemplate = '{tenantid}'
/** The algorithms by which a provider may sign ID tokens. */
const signatureAlgorithms: readonly unknown[] = ['RS256', 'PS256', 'ES256', 'EdDSA']

/** Returns the providers that are configured. */
export const signInProviders = (config: Config): SignInProvider[] =>
  providerSettings(config).map(createProvider)

const discoveryUrlOf = (issuer: string) => `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`

/** By this address alone the library knows that an issuer may be a template with the tenant's id. */
const entra = 'https://login.microsoftonline.com/common/v2.0'

type ClientAuthentication = typeof ClientSecretPost

async function discover(
  { hasTenants, clientId, clientSecret, issuer }: ProviderSettings,
  authenticate: ClientAuthentication,
): Promise<Configuration> {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so to stand out: config.ts lets only this machine be asked without TLS
  const execute = [enableNonRepudiationChecks, ...(issuer.startsWith('http:') ? [allowInsecureRequests] : [])]
  const options = { execute, timeout: timeoutSeconds }
  const client = { [clockTolerance]: clockToleranceSeconds }
  if (!hasTenants)
    return await discovery(new URL(issuer), clientId, client, authenticate(clientSecret), options)
  const config = await discovery(new URL(entra), clientId, client, authenticate(clientSecret), {
    ...options,
    [customFetch]: (url, init) =>
      fetch(url === discoveryUrlOf(entra) ? discoveryUrlOf(issuer) : url, init as RequestInit),
  })
  checkMicrosoftIssuer(config.serverMetadata(), issuer)
  return config
}

/**
 * Either the issuer itself, or a template of the same place, for whose tenants the token's `tid` is asked.
 */
function checkMicrosoftIssuer({ issuer: found }: ServerMetadata, configured: string): void {
  const isTemplate =
    found.split(tenantTemplate).length === 2 &&
    new URL(found.replace(tenantTemplate, 'tenant')).origin === new URL(configured).origin
  if (!isTemplate && new URL(found).origin !== new URL(configured).origin)
    throw new Error('the provider says that it is another issuer')
}

/** What is known of the provider: asked once an hour, and again after a failure. */
function remembered(
  settings: ProviderSettings,
): (authenticate: ClientAuthentication) => Promise<Configuration> {
  const known = new Map<ClientAuthentication, { config: Promise<Configuration>; atMs: number }>()
  return async (authenticate) => {
    let found = known.get(authenticate)
    if (!found || Date.now() - found.atMs > rediscoverAfterMs) {
      found = { config: discover(settings, authenticate), atMs: Date.now() }
      known.set(authenticate, found)
    }
    try {
      return await found.config
    } catch (error) {
      if (known.get(authenticate) === found) known.delete(authenticate)
      throw asMetadataError(error)
    }
  }
}

type Configure = (authenticate: ClientAuthentication) => Promise<Configuration>
type Vouch = Pick<SignInFlow, 'state' | 'nonce' | 'codeVerifier'>

/** Exchanges the code (OpenID Connect Core 1.0, 3.1.3), and verifies the ID token. */
async function grant(
  configuration: Promise<Configuration>,
  callback: URL,
  { state, nonce, codeVerifier }: Vouch,
): Promise<{ claims: IDToken | undefined; issuer: string }> {
  const config = await configuration
  const tokens = await authorizationCodeGrant(config, callback, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: codeVerifier,
    idTokenExpected: true,
  })
  refuseOtherAlgorithms(tokens.id_token)
  return { claims: tokens.claims(), issuer: config.serverMetadata().issuer }
}

async function authorizationUrl(
  config: Configuration,
  redirectUri: string,
  { state, nonce, codeVerifier }: Vouch,
  loginHint: string | undefined,
): Promise<string> {
  return buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid email',
    state,
    nonce,
    code_challenge: await calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    ...(loginHint === undefined ? {} : { login_hint: loginHint }),
  }).href
}

function createProvider(settings: ProviderSettings): SignInProvider {
  const configuration: Configure = remembered(settings)
  let authenticate: ClientAuthentication = ClientSecretPost

  const exchange = async (callback: URL, flow: SignInFlow) => {
    try {
      return await grant(configuration(authenticate), callback, flow)
    } catch (error) {
      if (!(error instanceof ResponseBodyError) || error.error !== 'invalid_client') throw error
      // A provider accepts the one way of authenticating that the client is registered with, and does not say
      // which that is.
      authenticate = authenticate === ClientSecretPost ? ClientSecretBasic : ClientSecretPost
      return await grant(configuration(authenticate), callback, flow)
    }
  }

  const { authority, id, slug, label, path, hasTenants } = settings
  return {
    ...{ authority, id, slug, label, path, hasTenants },
    begin: async (redirectUri, loginHint) => {
      const flow = { state: randomState(), nonce: randomNonce(), codeVerifier: randomPKCECodeVerifier() }
      try {
        const url = await authorizationUrl(await configuration(authenticate), redirectUri, flow, loginHint)
        return { url, flow }
      } catch (error) {
        throw asSignInError(error)
      }
    },
    finish: async (callback, flow) => {
      try {
        const { claims, issuer } = await exchange(callback, flow)
        if (!claims) throw refused('The provider did not say who this is')
        return identityOf(claims, issuer)
      } catch (error) {
        throw asSignInError(error)
      }
    },
  }
}

/** The signature has been verified; here its algorithm must be one that we let providers use. */
function refuseOtherAlgorithms(idToken: string | undefined): void {
  if (idToken !== undefined && !signatureAlgorithms.includes(decodeProtectedHeader(idToken).alg))
    throw refused('The provider signed by an algorithm that is not accepted')
}

function identityOf(
  claims: { iss: string; sub: string; iat: number; email?: unknown; tid?: unknown },
  issuer: string,
): Identity {
  if (issuer.includes(tenantTemplate) && !(typeof claims.tid === 'string' && isUuid(claims.tid)))
    throw refused('The provider did not say which tenant this is')
  if (claims.iat > Date.now() / 1000 + clockToleranceSeconds)
    throw refused('The provider issued its token in the future')
  return {
    issuer: claims.iss,
    subject: claims.sub,
    email: typeof claims.email === 'string' ? claims.email.slice(0, 320) : null,
  }
}
