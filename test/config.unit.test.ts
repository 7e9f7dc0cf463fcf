import { describe, expect, it } from '@jest/globals'
import { ConfigError, loadConfig, unknownVariables } from '../src/config.js'

const strong = {
  APP_JWT_KEY_SECRET: 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0',
  SECRET_KEY: 'Zx3Cv6Bn9Mq2We5Rt8Yu1Io4Pa7Sd0Fg',
}

/** The faults of a configuration, as `VARIABLE: message` each. */
function faultsOf(environment: Record<string, string>): string[] {
  try {
    loadConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const namesOf = (faults: string[]) => faults.map((fault) => fault.slice(0, fault.indexOf(':'))).sort()

describe('the configuration', () => {
  it('of nothing is that of a developer: the defaults of each variable', () => {
    const { ...config } = loadConfig({})
    expect(config).toMatchObject({
      NODE_ENV: 'development',
      HOST: '127.0.0.1',
      PORT: 8080,
      DATA_DIR: '.data',
      AUTH_ALGORITHM: 'HS256',
      APP_TOKEN_EXPIRY: 15,
      APP_REFRESH_TOKEN_EXPIRY: 7,
      GATEWAY_ROUTES: 'routes.yaml',
      CORS_ORIGINS: [],
      COOKIE_SAMESITE: 'lax',
      COOKIE_SECURE: false,
      TRUST_PROXY: 0,
      COHERENCE_LEASE_MS: 5000,
      COHERENCE_CACHE_ENTRIES: 100_000,
      GATEWAY_WORKERS: 1,
      SEED_DEMO: true,
      LOG_LEVEL: 'info',
      RATE_LIMIT_ADDRESS: { requests: 1200, windowMs: 60_000 },
      RATE_LIMIT_USER: { requests: 3000, windowMs: 60_000 },
      RATE_LIMIT_LOGIN: { requests: 10, windowMs: 60_000 },
    })
    for (const name of [
      'PUBLIC_URL',
      'DATABASE_URL',
      'DATABASE_MIGRATION_URL',
      'DATABASE_DIRECT_URL',
      'REDIS_URL',
      'APP_JWT_KEY_SECRET',
      'APP_JWT_KEY_SECRET_PREVIOUS',
      'APP_JWT_PRIVATE_KEY',
      'SECRET_KEY',
      'SECRET_KEY_PREVIOUS',
      'METRICS_PORT',
      'GOOGLE_CLIENT_ID',
      'MSFT_CLIENT_ID',
      'LOG_FORMAT',
    ] as const) {
      expect([name, config[name]]).toEqual([name, undefined])
    }
  })

  it('counts an empty variable as unset, and cares for no variable of others', () => {
    expect(
      loadConfig({
        PORT: '',
        TRUST_PROXY: '',
        DATABASE_URL: '',
        CORS_ORIGINS: '',
        LOG_LEVEL: '',
        HOME: '/root',
        PATH: 'x',
      }),
    ).toEqual(loadConfig({}))
  })

  it('cannot be changed after', () => {
    const config = loadConfig({}) as Record<string, unknown>
    expect(() => {
      config.PORT = 1
    }).toThrow(TypeError)
  })

  it.each<[Record<string, string>, Record<string, unknown>]>([
    [{ PORT: '0' }, { PORT: 0 }],
    [{ PORT: '65535' }, { PORT: 65535 }],
    [{ HOST: '::1' }, { HOST: '::1' }],
    [{ PUBLIC_URL: 'https://gateway.example.com' }, { PUBLIC_URL: 'https://gateway.example.com' }],
    [{ PUBLIC_URL: 'https://gateway.example.com/' }, { PUBLIC_URL: 'https://gateway.example.com' }],
    [{ AUTH_ALGORITHM: 'HS512' }, { AUTH_ALGORITHM: 'HS512' }],
    [{ Auth_ALGORITHM: 'HS384' }, { AUTH_ALGORITHM: 'HS384' }],
    [{ AUTH_ALGORITHM: 'HS512', Auth_ALGORITHM: 'HS384' }, { AUTH_ALGORITHM: 'HS512' }],
    [
      { CORS_ORIGINS: 'https://a.example, http://localhost:5173 ,' },
      { CORS_ORIGINS: ['https://a.example', 'http://localhost:5173'] },
    ],
    [{ CORS_ORIGINS: 'HTTPS://A.Example' }, { CORS_ORIGINS: ['https://a.example'] }],
    [{ COOKIE_SECURE: 'true' }, { COOKIE_SECURE: true }],
    [{ COOKIE_SECURE: 'false' }, { COOKIE_SECURE: false }],
    [
      { COOKIE_PREFIX: 'host', NODE_ENV: 'test', COOKIE_SECURE: 'true' },
      { COOKIE_PREFIX: 'host', COOKIE_SECURE: true },
    ],
    [{ COOKIE_SAMESITE: 'none' }, { COOKIE_SAMESITE: 'none', COOKIE_SECURE: true }],
    [
      { RATE_LIMIT_ADDRESS: '5/1s', RATE_LIMIT_USER: '1/3600s', RATE_LIMIT_LOGIN: '1/86400s' },
      {
        RATE_LIMIT_ADDRESS: { requests: 5, windowMs: 1000 },
        RATE_LIMIT_USER: { requests: 1, windowMs: 3_600_000 },
        RATE_LIMIT_LOGIN: { requests: 1, windowMs: 86_400_000 },
      },
    ],
    [{ COHERENCE_LEASE_MS: '0' }, { COHERENCE_LEASE_MS: 0 }],
    [{ SEED_DEMO: 'false' }, { SEED_DEMO: false }],
    [{ DATABASE_URL: 'postgres://a:b@c/d' }, { SEED_DEMO: false }],
    [{ DATABASE_URL: 'postgresql://a:b@c/d', SEED_DEMO: 'true' }, { SEED_DEMO: true }],
    [
      { ...strong, NODE_ENV: 'production', EMBEDDED_DATABASE: 'true' },
      { COOKIE_SECURE: true, SEED_DEMO: false },
    ],
    [
      { ...strong, NODE_ENV: 'production', EMBEDDED_DATABASE: 'true', COOKIE_SECURE: 'false' },
      { COOKIE_SECURE: false },
    ],
    [
      { NODE_ENV: 'test', METRICS_PORT: '9100', LOG_FORMAT: 'pretty', LOG_LEVEL: 'debug' },
      { METRICS_PORT: 9100, LOG_FORMAT: 'pretty', LOG_LEVEL: 'debug' },
    ],
    [{ APP_JWT_KEY_SECRET: 'é'.repeat(16) }, { APP_JWT_KEY_SECRET: 'é'.repeat(16) }], // bytes, not letters
  ])('%j gives %j', (environment, expected) => {
    expect(loadConfig(environment)).toMatchObject(expected)
  })

  it('switches a rate limit off by off', () => {
    const config = loadConfig({ RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_USER: 'off', RATE_LIMIT_LOGIN: 'off' })
    expect([config.RATE_LIMIT_ADDRESS, config.RATE_LIMIT_USER, config.RATE_LIMIT_LOGIN]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('takes a secret as it is, blanks included', () => {
    const secret = `  ${strong.APP_JWT_KEY_SECRET}\t `
    expect(loadConfig({ APP_JWT_KEY_SECRET: secret }).APP_JWT_KEY_SECRET).toBe(secret)
  })

  describe.each<[string, string[]]>([
    ['PORT', ['http', '-1', '65536', '80.5', '0x50', ' 80', '1e3']],
    [
      'PUBLIC_URL',
      [
        'gateway.example.com',
        'ftp://x',
        'https://x/path',
        'https://x?y',
        'https://user:pw@x',
        'javascript:alert(1)',
      ],
    ],
    ['DATABASE_URL', ['mysql://x', 'localhost', 'http://x']],
    ['REDIS_URL', ['localhost:6379', 'http://x']],
    ['APP_JWT_KEY_SECRET', ['short', 'x'.repeat(31)]],
    ['APP_JWT_KEY_SECRET_PREVIOUS', ['short']],
    ['SECRET_KEY', ['short']],
    ['SECRET_KEY_PREVIOUS', ['short']],
    ['AUTH_ALGORITHM', ['none', 'hs256', 'HS1', 'RS512', 'HS256,RS256']],
    ['APP_TOKEN_EXPIRY', ['0', '-5', '15m', 'never', '1.5']],
    ['APP_REFRESH_TOKEN_EXPIRY', ['0', '7d', '-1']],
    [
      'CORS_ORIGINS',
      [
        '*',
        'null',
        'app.example.com',
        'https://a.example/path',
        'https://a.example,rubbish',
        'https://*.example.com',
        'ftp://a',
      ],
    ],
    ['COOKIE_SAMESITE', ['Lax ', 'maybe']],
    ['COOKIE_PREFIX', ['Host', '__Host-', 'secure']],
    ['COOKIE_SECURE', ['yes', 'TRUE', '2']],
    ['TRUST_PROXY', ['true', 'loopback', '-1', '1.5', '1000']],
    ['COHERENCE_LEASE_MS', ['-1', '5s', '1e9']],
    ['COHERENCE_CACHE_ENTRIES', ['0', '-1', 'many']],
    ['RATE_LIMIT_ADDRESS', ['5', '5/60', '0/60s', '5/0s', '-5/60s', '5/60m', 'OFF', '5/86401s', '1.5/60s']],
    ['RATE_LIMIT_USER', ['fast']],
    ['RATE_LIMIT_LOGIN', ['none']],
    ['GATEWAY_WORKERS', ['0', '-1', 'auto', '10000']],
    ['METRICS_PORT', ['yes', '-1', '70000']],
    ['SEED_DEMO', ['yes', 'True']],
    ['LOG_LEVEL', ['loud', 'INFO']],
    ['LOG_FORMAT', ['xml']],
    ['NODE_ENV', ['prod', 'Production', 'staging']],
  ])('%s', (name, values) => {
    it.each(values)('cannot be %j, and is named as the only fault', (value) => {
      const faults = faultsOf({ [name]: value })
      expect(namesOf(faults)).toEqual([name])
      expect(faults[0]).toMatch(/: .{5,}/)
    })
  })

  it('is refused for all its faults at once, those between variables included', () => {
    const faults = faultsOf({
      NODE_ENV: 'production',
      PORT: 'x',
      TRUST_PROXY: 'x',
      LOG_LEVEL: 'x',
      SEED_DEMO: 'true',
      DATABASE_MIGRATION_URL: 'postgres://a/b',
      COOKIE_SAMESITE: 'none',
      COOKIE_SECURE: 'false',
      GOOGLE_CLIENT_ID: 'x',
      APP_JWT_KEY_SECRET: 'short',
    })
    expect(namesOf(faults)).toEqual([
      'APP_JWT_KEY_SECRET',
      'COOKIE_SECURE',
      'DATABASE_MIGRATION_URL',
      'DATABASE_URL',
      'GOOGLE_CLIENT_SECRET',
      'LOG_LEVEL',
      'PORT',
      'SECRET_KEY',
      'SEED_DEMO',
      'TRUST_PROXY',
    ])
    const { message } = new ConfigError(faults)
    for (const fault of faults) expect(message).toContain(fault)
  })

  it('cookies with a prefix need Secure', () => {
    expect(namesOf(faultsOf({ COOKIE_PREFIX: 'host' }))).toEqual(['COOKIE_SECURE'])
    expect(namesOf(faultsOf({ COOKIE_PREFIX: 'host', COOKIE_SECURE: 'false' }))).toEqual(['COOKIE_SECURE'])
  })

  it('names the algorithm’s variable as it was written', () => {
    expect(faultsOf({ Auth_ALGORITHM: 'none' }).join()).toMatch(/^AUTH_ALGORITHM: /i)
  })

  it('never repeats a value: it may be a secret in the wrong variable', () => {
    const value = 'hunter2-hunter2'
    for (const name of [
      'PORT',
      'PUBLIC_URL',
      'DATABASE_URL',
      'DATABASE_MIGRATION_URL',
      'DATABASE_DIRECT_URL',
      'REDIS_URL',
      'APP_JWT_KEY_SECRET',
      'APP_JWT_KEY_SECRET_PREVIOUS',
      'SECRET_KEY',
      'SECRET_KEY_PREVIOUS',
      'AUTH_ALGORITHM',
      'APP_TOKEN_EXPIRY',
      'CORS_ORIGINS',
      'COOKIE_SAMESITE',
      'COOKIE_SECURE',
      'TRUST_PROXY',
      'RATE_LIMIT_ADDRESS',
      'SEED_DEMO',
      'GOOGLE_ISSUER',
      'LOG_LEVEL',
      'LOG_FORMAT',
      'NODE_ENV',
      'GATEWAY_WORKERS',
      'METRICS_PORT',
    ]) {
      const faults = faultsOf({ [name]: value })
      expect([name, namesOf(faults)]).toEqual([name, [name]])
      expect(faults.join()).not.toContain('hunter2')
    }
  })

  describe('in production', () => {
    it('needs its secrets, and says how to make one', () => {
      const faults = faultsOf({ NODE_ENV: 'production', EMBEDDED_DATABASE: 'true' })
      expect(namesOf(faults)).toEqual(['APP_JWT_KEY_SECRET', 'SECRET_KEY'])
      for (const fault of faults) expect(fault).toContain('openssl rand')
      expect(faultsOf({ NODE_ENV: 'production', EMBEDDED_DATABASE: 'true', ...strong })).toEqual([])
    })

    it.each(['a'.repeat(64), 'abab'.repeat(16), '1234'.repeat(10), ' '.repeat(40)])(
      'refuses the weak secret %j',
      (weak) => {
        expect(
          namesOf(
            faultsOf({
              NODE_ENV: 'production',
              EMBEDDED_DATABASE: 'true',
              ...strong,
              APP_JWT_KEY_SECRET: weak,
            }),
          ),
        ).toEqual(['APP_JWT_KEY_SECRET'])
        expect(
          namesOf(
            faultsOf({ NODE_ENV: 'production', EMBEDDED_DATABASE: 'true', ...strong, SECRET_KEY: weak }),
          ),
        ).toEqual(['SECRET_KEY'])
      },
    )

    it('refuses demo data', () => {
      expect(
        namesOf(
          faultsOf({ NODE_ENV: 'production', EMBEDDED_DATABASE: 'true', ...strong, SEED_DEMO: 'true' }),
        ),
      ).toEqual(['SEED_DEMO'])
    })

    it('needs no symmetric key beside a private one', () => {
      expect(
        faultsOf({
          NODE_ENV: 'production',
          EMBEDDED_DATABASE: 'true',
          SECRET_KEY: strong.SECRET_KEY,
          AUTH_ALGORITHM: 'EdDSA',
          APP_JWT_PRIVATE_KEY: '-----BEGIN PRIVATE KEY-----',
        }),
      ).toEqual([])
    })
  })

  it.each(['ES256', 'RS256', 'EdDSA'])('needs a private key for %s, everywhere', (algorithm) => {
    expect(namesOf(faultsOf({ AUTH_ALGORITHM: algorithm }))).toEqual(['APP_JWT_PRIVATE_KEY'])
  })

  it('needs DATABASE_URL beside its companions, and both halves of a sign-in', () => {
    expect(namesOf(faultsOf({ DATABASE_MIGRATION_URL: 'postgres://a/b' }))).toEqual([
      'DATABASE_MIGRATION_URL',
    ])
    expect(namesOf(faultsOf({ DATABASE_DIRECT_URL: 'postgres://a/b' }))).toEqual(['DATABASE_DIRECT_URL'])
    expect(namesOf(faultsOf({ GOOGLE_CLIENT_ID: 'a' }))).toEqual(['GOOGLE_CLIENT_SECRET'])
    expect(namesOf(faultsOf({ MSFT_CLIENT_SECRET: 'a' }))).toEqual(['MSFT_CLIENT_ID'])
  })

  it('needs issuer, client and secret of each provider that OIDC_PROVIDERS names', () => {
    expect(namesOf(faultsOf({ OIDC_PROVIDERS: 'corp,my-idp', OIDC_CORP_CLIENT_ID: 'a' }))).toEqual([
      'OIDC_CORP_CLIENT_SECRET',
      'OIDC_CORP_ISSUER',
      'OIDC_MY_IDP_CLIENT_ID',
      'OIDC_MY_IDP_CLIENT_SECRET',
      'OIDC_MY_IDP_ISSUER',
    ])
  })

  it.each([
    'http://login.example.com',
    'https://login.example.com/?a=b',
    'https://login.example.com/#a',
    'https://a:b@login.example.com/',
    'ftp://login.example.com/',
    'login',
  ])('takes no issuer such as %s', (issuer) => {
    const rest = { OIDC_PROVIDERS: 'corp', OIDC_CORP_CLIENT_ID: 'a', OIDC_CORP_CLIENT_SECRET: 'b' }
    expect(namesOf(faultsOf({ ...rest, OIDC_CORP_ISSUER: issuer }))).toEqual(['OIDC_CORP_ISSUER'])
    expect(faultsOf({ ...rest, OIDC_CORP_ISSUER: 'http://127.0.0.1:4000/realm' })).toEqual([])
  })

  it.each(['Corp', 'a_b', '1st', 'a/b', 'a,a', '-a'])('takes no slugs such as %s', (slugs) => {
    expect(namesOf(faultsOf({ OIDC_PROVIDERS: slugs }))).toEqual(['OIDC_PROVIDERS'])
  })

  it('names a variable of a provider that OIDC_PROVIDERS lacks', () => {
    const listed = { OIDC_PROVIDERS: 'corp', OIDC_CORP_LABEL: 'x' }
    expect(unknownVariables(listed)).toEqual([])
    expect(unknownVariables({ ...listed, OIDC_OTHER_ISSUER: 'x' })).toEqual([
      expect.stringContaining('OIDC_PROVIDERS'),
    ])
  })
})
