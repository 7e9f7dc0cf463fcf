import { describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { consolePages } from '../../src/console/pages.js'
import { ownEndpoints } from '../../src/gateway/endpoints.js'

const config = loadConfig({ RATE_LIMIT_LOGIN: 'off' })
/**
 * Enough to declare the endpoints, as `openapi.yaml` is made: they use what they are given when a request
 * comes, and none does.
 */
const nothing = {
  database: {},
  keys: {},
  identityKeys: {},
  passwords: {},
  node: { lease: {} },
  denials: {},
  routes: {},
}
const declared = ownEndpoints({
  ...(JSON.parse(JSON.stringify(nothing)) as Parameters<typeof ownEndpoints>[0]),
  config,
})
const endpoints = [...declared, ...consolePages({ config, changedTexts: () => ({ de: {}, en: {} }) })]

const fromMemory = 'is answered from memory'
const failures = 'each failure counts for the account and for the address (RATE_LIMIT_LOGIN)'
const ofClient = `${failures}; an assertion costs two look-ups and a signature, and no hash of a password`
const ofHolder =
  'does nothing but for the token that is shown, of which one look-up by its ' +
  'hash or its signature says whether it is ours'

/**
 * Why an endpoint that asks for no token has no `entry` limit of its own. RATE_LIMIT_ADDRESS holds for all of
 * them.
 */
const reasons: Record<string, string> = {
  'get /healthz': 'probes ask, and it is answered from memory',
  'get /readyz': 'probes ask, and the database is asked once for all of them',
  'get /metrics': 'refuses all but this machine and SysAdmins, before it does anything',
  'get /openapi.yaml': fromMemory,
  'get /': fromMemory,
  'get /docs': fromMemory,
  'get /console': fromMemory,
  'get /console/': fromMemory,
  'get /console/*page': fromMemory,
  'get /console/assets/:file': fromMemory,
  'post /auth/login': failures,
  'post /auth/token': ofClient,
  'post /auth/introspect': ofClient,
  'post /auth/forgot':
    'is counted by client address (RATE_LIMIT_MAIL, tenfold), and looks nothing up before it answers',
  'post /auth/refresh': ofHolder,
  'post /auth/logout': ofHolder,
  'post /auth/revoke': ofHolder,
}

describe('endpoints that need no token', () => {
  const open = endpoints.filter(({ access }) => access.auth === 'public' || access.auth === 'optional')

  it('have an `entry` limit, or a reason in this file why they need none', () => {
    expect(open.length).toBeGreaterThan(25)
    const unlimited = open
      .filter(({ entry }) => entry === undefined)
      .map(({ method, path }) => `${method} ${path}`)
    expect(unlimited.sort()).toEqual(Object.keys(reasons).sort())
  })

  it('are the only ones with such a limit: callers with a token are counted by user', () => {
    expect(
      endpoints.filter((one) => one.entry !== undefined && !open.includes(one)).map(({ path }) => path),
    ).toEqual([])
  })
})
