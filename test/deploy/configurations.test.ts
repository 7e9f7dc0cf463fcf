import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { gatewayCookies } from '../../src/http/cookies.js'
import { createGatewayServer } from '../../src/http/server.js'
import { callerHeaders } from '../../src/proxy/caller-headers.js'
import { runToEnd } from '../support/proxy-process.js'

const folder = path.resolve(import.meta.dirname, '../../deploy')
const read = (file: string) => readFile(path.join(folder, file), 'utf8')

/** The lines that say something, without their comments. */
const effective = (text: string) =>
  text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .map((line) => line.replace(/\s#\s.*$/, '').trim())

const sorted = (names: Iterable<string>) => [...names].map((name) => name.toLowerCase()).sort()

describe('what the configurations must say', () => {
  it.each(['gateway.conf', 'auth-request.conf'])(
    'nginx/%s gives up idle connections before the gateway does',
    async (file) => {
      const gateway = createGatewayServer(() => undefined)
      const [, upstream = ''] = /upstream gateway \{([^}]*)\}/.exec(await read(`nginx/${file}`)) ?? []
      const seconds = Number(/keepalive_timeout (\d+)s;/.exec(upstream)?.[1])
      expect(seconds * 1000).toBeLessThan(gateway.keepAliveTimeout)
    },
  )

  it('nginx/auth-request.conf gives up idle connections to a service before a service in Node does', async () => {
    const [, upstream = ''] = /upstream crm \{([^}]*)\}/.exec(await read('nginx/auth-request.conf')) ?? []
    expect(Number(/keepalive_timeout (\d+)s;/.exec(upstream)?.[1]) * 1000).toBeLessThan(
      createServer().keepAliveTimeout,
    )
  })

  it('nginx/auth-request.conf takes each caller header from the gateway, and passes each of its cookies', async () => {
    const lines = effective(await read('nginx/auth-request.conf'))
    const taken = new Map(
      lines.flatMap((line) => {
        const [, variable, header] =
          /^auth_request_set\s+(\$caller_\w+)\s+\$upstream_http_(\w+);$/.exec(line) ?? []
        return variable !== undefined && header !== undefined
          ? [[variable, header.replaceAll('_', '-')] as const]
          : []
      }),
    )
    const told = lines.flatMap((line) => {
      const [, header, variable = ''] = /^proxy_set_header\s+([\w-]+)\s+(\$caller_\w+);$/.exec(line) ?? []
      return header === undefined ? [] : [[header.toLowerCase(), taken.get(variable)]]
    })
    expect(told).toEqual(told.map(([header]) => [header, header]))
    expect(told.map(([header]) => header).sort()).toEqual(sorted(callerHeaders))
    const maps = lines.filter((line) => line.includes('portal_session'))
    expect(maps).toHaveLength(7)
    for (const line of maps) expect(line).toContain(`(?:${gatewayCookies.join('|')})`)
  })

  it('haproxy.cfg is valid as it is', async () => {
    expect(
      await runToEnd('haproxy', ['-dW', '-c', '-f', path.join(folder, 'haproxy/haproxy.cfg')]),
    ).toMatchObject({ code: 0 })
  })

  it('traefik asks with its own headers and takes each caller header from the answer, in any spelling', async () => {
    const { http } = parse(await read('traefik/dynamic.yaml'))
    const { forwardAuth } = http.middlewares['ask-gateway']
    expect(forwardAuth).toMatchObject({
      address: expect.stringMatching(/\/auth\/verify$/),
      trustForwardHeader: false,
    })
    expect(sorted(forwardAuth.authResponseHeaders)).toEqual(sorted(callerHeaders))
    const pattern = new RegExp(String(forwardAuth.authResponseHeadersRegex).replace('(?i)', ''), 'i')
    for (const name of callerHeaders)
      for (const spelled of [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '_')])
        expect(spelled).toMatch(pattern)
    for (const name of ['x-user-agent', 'x-usernames', 'cookie', 'x-request-id'])
      expect(name).not.toMatch(pattern)
    for (const [name, router] of Object.entries<{ middlewares?: string[]; service: string }>(http.routers)) {
      for (const middleware of router.middlewares ?? [])
        expect([name, http.middlewares]).toEqual([
          name,
          expect.objectContaining({ [middleware]: expect.anything() }),
        ])
      expect(Object.keys(http.services)).toContain(router.service)
    }
    // A client's X-Original-URI goes before it could be part of the question, the credentials after.
    expect(http.routers.crm.middlewares).toEqual(['nobody-tells', 'ask-gateway', 'keep-credentials'])
    expect(sorted(Object.keys(http.middlewares['nobody-tells'].headers.customRequestHeaders))).toEqual([
      'x-original-method',
      'x-original-uri',
    ])
    expect(http.middlewares['keep-credentials'].headers.customRequestHeaders).toMatchObject({
      Authorization: '',
      Cookie: '',
    })
  })

  it('envoy asks before it sends, lets nobody in without an answer, and takes each caller header from it', async () => {
    const { static_resources: resources } = parse(await read('envoy/envoy.yaml'))
    const manager = resources.listeners[0].filter_chains[0].filters[0].typed_config
    expect(manager.http_filters.map(({ name }: { name: string }) => name)).toEqual([
      'envoy.filters.http.ext_authz',
      'envoy.filters.http.router',
    ])
    expect(manager).toMatchObject({
      use_remote_address: true,
      normalize_path: false,
      common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' },
    })
    const question = manager.http_filters[0].typed_config
    expect(question).toMatchObject({
      failure_mode_allow: false,
      http_service: { path_prefix: '/auth/verify' },
    })
    expect(
      sorted(
        question.http_service.authorization_response.allowed_upstream_headers.patterns.map(
          ({ exact }: { exact: string }) => exact,
        ),
      ),
    ).toEqual(sorted(callerHeaders))
    const asked = question.allowed_headers.patterns.map(({ exact }: { exact: string }) => exact)
    expect(asked).toEqual(
      expect.arrayContaining([
        'cookie',
        'x-mandate-id',
        'x-instance-id',
        'origin',
        'sec-fetch-site',
        'x-forwarded-for',
      ]),
    )
    expect(asked.filter((name: string) => /^x-original-|^x-forwarded-(uri|method)$/.test(name))).toEqual([])
    const clusters = resources.clusters.map(({ name }: { name: string }) => name)
    for (const { route, typed_per_filter_config: own } of manager.route_config.virtual_hosts[0].routes) {
      if (route) expect(clusters).toContain(route.cluster)
      if (route && route.cluster !== 'gateway') expect(own).toBeUndefined() // asked about
    }
  })

  it('the Caddyfile strips each caller header before it asks, and sets what the gateway says', async () => {
    const lines = effective(await read('caddy/Caddyfile'))
    const asks = lines.findIndex((line) => line.startsWith('forward_auth '))
    const removed = lines
      .slice(0, asks)
      .flatMap((line) => /^request_header -(X-[\w-]+)$/.exec(line)?.[1] ?? [])
      .filter((name) => !name.startsWith('X-Forwarded-'))
    const copied =
      lines
        .find((line) => line.startsWith('copy_headers '))
        ?.split(' ')
        .slice(1) ?? []
    expect(sorted(removed)).toEqual(sorted(callerHeaders))
    expect(sorted(copied)).toEqual(sorted(callerHeaders))
    expect(lines.slice(0, asks)).toEqual(
      expect.arrayContaining([
        'request_header -*_*',
        'request_header -X-Original-*',
        'request_header -X-Forwarded-Uri',
        'request_header -X-Forwarded-Method',
      ]),
    )
    expect(lines.slice(asks)).toEqual(
      expect.arrayContaining(['uri /auth/verify', 'request_header -Authorization', 'request_header -Cookie']),
    )
    const depth = lines.reduce(
      (open, line) => open + (line.endsWith('{') ? 1 : 0) - (line === '}' ? 1 : 0),
      0,
    )
    expect(depth).toBe(0)
  })

  it('each configuration matches whole segments: /api/crmX never reaches the service of /api/crm', async () => {
    const nginx = (
      await Promise.all(
        ['gateway.conf', 'auth-request.conf', 'portal.conf'].map((file) => read(`nginx/${file}`)),
      )
    ).flatMap(effective)
    const prefixes = nginx.flatMap((line) => /^location (?:\^~ )?(\/\S*) \{$/.exec(line)?.[1] ?? [])
    expect(prefixes.filter((prefix) => !prefix.endsWith('/'))).toEqual([])
    for (const pattern of nginx.flatMap((line) => /^location ~\*? (\S+) \{$/.exec(line)?.[1] ?? []))
      expect(pattern).toMatch(/^\^\/.*\(\?:\/\|(?:\$|\\z)\)$/)
    const { http } = parse(await read('traefik/dynamic.yaml'))
    const rules = Object.values<{ rule: string }>(http.routers).flatMap(({ rule }) =>
      [...rule.matchAll(/PathPrefix\(`([^`]*)`\)/g)].map(([, prefix]) => prefix),
    )
    expect(rules).toContain('/api/crm/')
    expect(rules.filter((prefix) => prefix?.endsWith('/') !== true)).toEqual([])
    const { static_resources: resources } = parse(await read('envoy/envoy.yaml'))
    for (const { match } of resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config
      .virtual_hosts[0].routes) {
      expect(match.prefix === undefined ? Object.keys(match) : match.prefix).toEqual(
        match.prefix === undefined ? ['path_separated_prefix'] : '/',
      )
    }
    for (const line of effective(await read('caddy/Caddyfile')).filter((one) => /^@\w+ path /.test(one))) {
      const paths = line.split(' ').slice(2)
      expect(paths.filter((one) => one.endsWith('*'))).toEqual(
        paths.filter((one) => !one.endsWith('*')).map((one) => `${one}/*`),
      )
    }
  })

  it('envoy sends on no X-Forwarded-Host of a client, which it leaves as it is', async () => {
    const { static_resources: resources } = parse(await read('envoy/envoy.yaml'))
    for (const { route, request_headers_to_remove: removed } of resources.listeners[0].filter_chains[0]
      .filters[0].typed_config.route_config.virtual_hosts[0].routes) {
      if (route)
        expect(removed).toEqual(
          expect.arrayContaining([
            'x-forwarded-host',
            'x-original-uri',
            'x-original-method',
            'x-forwarded-uri',
            'x-forwarded-method',
          ]),
        )
    }
  })

  it('the README names every file', async () => {
    const readme = await read('README.md')
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const file = path.relative(folder, path.join(entry.parentPath, entry.name))
      const named = ['compose/', 'helm/mandate-gateway/'].find((folder) => file.startsWith(folder)) ?? file
      if (entry.isFile() && file !== 'README.md') expect(readme).toContain(named)
    }
  })
})
