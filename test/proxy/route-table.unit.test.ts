import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { RouteTableError, loadRouteTable, parseRouteTable } from '../../src/proxy/route-table.js'

/** The faults of a route file. */
function faultsOf(text: string): string[] {
  try {
    parseRouteTable(text, 'routes.yaml')
  } catch (error) {
    if (error instanceof RouteTableError) return error.faults
    throw error
  }
  return []
}

const withRoute = (route: string, prefix = '/x') => `upstreams:
  own: { targets: [http://127.0.0.1:9000] }
routes:
  ${prefix}: ${route}
`
const withUpstream = (upstream: string) => `upstreams:
  own: ${upstream}
routes: {}
`

/** A small file that would be a huge table with its aliases resolved. */
const aliasBomb = [
  'upstreams: {}',
  'routes: {}',
  'a: &a [x, x]',
  ...Array.from('bcdefghij', (name, index) => {
    const previous = 'abcdefghij'[index]!
    return `${name}: &${name} [*${previous}, *${previous}]`
  }),
  '',
].join('\n')

describe('a route table', () => {
  it('needs nothing but an upstream: the defaults are the strict ones', () => {
    const table = parseRouteTable(withRoute('{ upstream: own }'), 'routes.yaml')
    expect(table.match('/x')).toMatchObject({
      prefix: '/x',
      upstream: 'own',
      auth: 'required',
      mandate: 'none',
      instance: 'none',
      strip: false,
    })
    expect(table.match('/y')).toBeUndefined()
  })

  it('may be empty of routes', () => {
    expect(faultsOf('upstreams: {}\nroutes: {}\n')).toEqual([])
  })

  it('takes every field', () => {
    expect(
      faultsOf(
        withRoute(`
    upstream: own
    strip: true
    auth: required
    mandate: required
    instance: optional
    guard: sysAdmin
    permission: { context: DATA, item: crm.contacts }
    rateLimit: 100/60s
    timeoutMs: 1000
    bodyLimit: 1048576`),
      ),
    ).toEqual([])
    expect(
      faultsOf(
        withUpstream(
          '{ targets: ["http://127.0.0.1:9000", "https://crm.example.com"], timeouts: { ' +
            'connectMs: 1, headersMs: 2, bodyMs: 3 }, health: { path: /healthz } }',
        ),
      ),
    ).toEqual([])
  })

  it('lets portal routes live under /portal/', () => {
    expect(faultsOf(withRoute('{ upstream: own, auth: portal }', '/portal/files'))).toEqual([])
  })

  it.each([
    ['an unknown field', '{ upstream: own, mandat: required }', 'mandat'],
    ['an unknown policy', '{ upstream: own, auth: sometimes }', 'auth'],
    ['an unknown place', '{ upstream: own, mandate: maybe }', 'mandate'],
    ['an unknown guard', '{ upstream: own, guard: superAdmin }', 'guard'],
    [
      'an unknown context',
      '{ upstream: own, mandate: required, permission: { context: THING, item: x } }',
      'context',
    ],
    [
      'a permission without item',
      '{ upstream: own, mandate: required, permission: { context: DATA } }',
      'item',
    ],
    [
      'a permission of its own action',
      '{ upstream: own, mandate: required, permission: { context: DATA, item: x, action: read } }',
      'action',
    ],
    ['an upstream that is not there', '{ upstream: other }', 'other'],
    ['an upstream by an inherited name', '{ upstream: toString }', 'toString'],
    ['no upstream', '{ auth: public }', 'upstream'],
    ['a rate limit that is none', '{ upstream: own, rateLimit: fast }', 'rateLimit'],
    ['a rate limit of nothing', '{ upstream: own, rateLimit: 0/60s }', 'rateLimit'],
    ['a negative time', '{ upstream: own, timeoutMs: -1 }', 'timeoutMs'],
    ['a time in words', '{ upstream: own, timeoutMs: 5s }', 'timeoutMs'],
    ['a negative body limit', '{ upstream: own, bodyLimit: -1 }', 'bodyLimit'],
    ['a body limit of a fraction', '{ upstream: own, bodyLimit: 1.5 }', 'bodyLimit'],
    ['strip that is no boolean', '{ upstream: own, strip: "yes" }', 'strip'],
    [
      'a permission where anybody may come',
      '{ upstream: own, auth: public, permission: { context: DATA, item: x } }',
      'permission',
    ],
    [
      'a permission where the caller may be nobody',
      '{ upstream: own, auth: optional, mandate: optional, permission: { context: DATA, item: x } }',
      'permission',
    ],
    [
      'a permission without a mandate',
      '{ upstream: own, permission: { context: DATA, item: x } }',
      'permission',
    ],
    ['a guard where anybody may come', '{ upstream: own, auth: public, guard: sysAdmin }', 'guard'],
    ['a guard where the caller may be nobody', '{ upstream: own, auth: optional, guard: sysAdmin }', 'guard'],
    ['a mandate where anybody may come', '{ upstream: own, auth: public, mandate: optional }', 'mandate'],
    [
      'a required mandate where the caller may be nobody',
      '{ upstream: own, auth: optional, mandate: required }',
      'mandate',
    ],
    [
      'a required instance where the caller may be nobody',
      '{ upstream: own, auth: optional, instance: required }',
      'instance',
    ],
    ['nothing at all', '', 'x'],
  ])('refuses %s, with file and line', (_, route, word) => {
    const faults = faultsOf(withRoute(route))
    expect(faults.length).toBeGreaterThan(0)
    for (const fault of faults) expect(fault).toMatch(/^routes\.yaml:4: /)
    expect(faults.join('\n')).toContain(word)
  })

  it.each([
    'x',
    '/x/',
    '/x//y',
    '/x/../y',
    '/x/./y',
    '/x?y',
    '/x%20y',
    '/x y',
    '"/x#y"',
    '/ü',
    '/x\\y',
    '"*"',
  ])('refuses the prefix %s', (prefix) => {
    const faults = faultsOf(withRoute('{ upstream: own }', prefix))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^routes\.yaml:4: /)
  })

  it.each([
    '/auth',
    '/auth/x',
    '/mandate',
    '/mandate/members',
    '/admin',
    '/admin/x',
    '/system',
    '/system/x',
    '/portal',
    '/portal/x',
    '/projects',
    '/projects/x',
    '/healthz',
    '/readyz',
    '/metrics',
    '/.well-known',
    '/.well-known/x',
    '/openapi.yaml',
    '/docs',
    '/console',
    '/console/x',
  ])('refuses a route that claims %s', (prefix) => {
    const faults = faultsOf(withRoute('{ upstream: own }', prefix))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^routes\.yaml:4: .*belongs to the gateway/)
  })

  it('refuses portal routes at the gateway’s own pages', () => {
    for (const prefix of ['/portal', '/auth/x', '/portal/api', '/portal/enter', '/portal/logout']) {
      expect([prefix, faultsOf(withRoute('{ upstream: own, auth: portal }', prefix)).length]).toEqual([
        prefix,
        1,
      ])
    }
  })

  it('never gives one of the gateway’s own paths to a route of /, whatever its policy', () => {
    for (const auth of ['public', 'optional', 'required', 'portal']) {
      const text = withRoute(`{ upstream: own, auth: ${auth} }`, '/')
      if (faultsOf(text).length > 0) continue // refusing it is as good
      const table = parseRouteTable(text, 'routes.yaml')
      for (const own of [
        '/auth/login',
        '/auth',
        '/admin/users',
        '/system/nodes',
        '/portal',
        '/healthz',
        '/.well-known/jwks.json',
      ]) {
        expect([auth, own, table.match(own)]).toEqual([auth, own, undefined])
      }
    }
  })

  it.each([
    ['an address with a path', '{ targets: ["http://127.0.0.1:9000/base"] }'],
    ['an address with a query', '{ targets: ["http://127.0.0.1:9000/?x"] }'],
    ['an address with credentials', '{ targets: ["http://user:pass@127.0.0.1:9000"] }'],
    ['an address of another protocol', '{ targets: ["ftp://127.0.0.1"] }'],
    ['an address without protocol', '{ targets: ["127.0.0.1:9000"] }'],
    ['no target', '{ targets: [] }'],
    ['targets that are no list', '{ targets: "http://127.0.0.1:9000" }'],
    ['a timeout of nothing', '{ targets: ["http://127.0.0.1:9000"], timeouts: { headersMs: 0 } }'],
    ['an unknown timeout', '{ targets: ["http://127.0.0.1:9000"], timeouts: { readMs: 5 } }'],
    ['a health path that is none', '{ targets: ["http://127.0.0.1:9000"], health: { path: healthz } }'],
  ])('refuses %s for an upstream', (_, upstream) => {
    const faults = faultsOf(withUpstream(upstream))
    expect(faults.length).toBeGreaterThan(0)
    for (const fault of faults) expect(fault).toMatch(/^routes\.yaml:2: /)
    expect(faults.join()).not.toContain('pass')
  })

  it('lists every fault, each with its line', () => {
    const faults = faultsOf(`upstreams:
  own:
    targets: []
routes:
  /a:
    upstream: nobody
  /b:
    upstream: own
    auth: sometimes
    strip: 5
`)
    expect(faults.map((fault) => fault.split(':')[1]).sort()).toEqual(
      expect.arrayContaining(['3', '9', '10']),
    )
  })

  it('says the line of a fault that is deep within, of a list’s entry, and of what lacks something', () => {
    const linesOf = (text: string) =>
      faultsOf(text).map((fault) => /^routes\.yaml:(\d+): (\S+)/.exec(fault)?.slice(1, 3).join(' ') ?? fault)
    expect(
      faultsOf(`upstreams:
  own:
    targets:
      - http://127.0.0.1:9000
      - ftp://127.0.0.1
    timeouts:
      connectMs: 5
      headersMs: 0
routes:
  /a:
    upstream: own
    permission:
      context: DATA
    mandate: required
    mandateFrom:
      - header
      - nowhere
`).map((fault) => fault.split(': ').slice(0, 2).join(' ')),
    ).toEqual([
      'routes.yaml:5 upstreams › own › targets › 1',
      'routes.yaml:8 upstreams › own › timeouts › headersMs',
      'routes.yaml:12 routes › /a › permission › item',
      'routes.yaml:17 routes › /a › mandateFrom › 1',
    ])
    expect(linesOf('\n\nroutes: {}\n')).toEqual(['1 upstreams:'])
    expect(linesOf('upstreams: {}\nroutes: 5\n')).toEqual(['2 routes:'])
    expect(linesOf('upstreams: 5\nroutes: {}\n')).toEqual(['1 upstreams:'])
    expect(faultsOf('- a\n- b\n')).toEqual([expect.stringMatching(/^routes\.yaml:1: Invalid input/)])
    expect(
      faultsOf('upstreams: { own: { targets: &t [ftp://a] }, two: { targets: *t } }\nroutes: {}\n'),
    ).toHaveLength(2)
  })

  it('refuses aliases that make a small file a huge table, by the file', () => {
    expect(faultsOf(aliasBomb)).toEqual([expect.stringMatching(/^routes\.yaml:1: .*alias/)])
  })

  it('gives paths to the longest prefix by whole segments, but never the gateway’s or portal’s own', () => {
    const table = parseRouteTable(
      `upstreams:
  own: { targets: [http://127.0.0.1:9000] }
routes:
  /: { upstream: own }
  /a: { upstream: own }
  /a/b: { upstream: own }
  /portal/files: { upstream: own, auth: portal }
`,
      'routes.yaml',
    )
    for (const [path, prefix] of [
      ['/', '/'],
      ['/x', '/'],
      ['/ab', '/'],
      ['/a', '/a'],
      ['/a/', '/a'],
      ['/a/bc', '/a'],
      ['/a/b', '/a/b'],
      ['/a/b/c', '/a/b'],
      ['/portal/files/1', '/portal/files'],
      ['/portals', '/'],
      ['/authentic', '/'],
    ] as const) {
      expect([path, table.match(path)?.prefix]).toEqual([path, prefix])
    }
    for (const path of ['/portal', '/portal/other', '/portal/filesystem', '/auth/x', '/metrics', '/console'])
      expect([path, table.match(path)]).toEqual([path, undefined])
    for (const path of ['/a;x/b', '/a%3Bx', '/a/b;c/d'])
      expect(() => table.match(path)).toThrow(expect.objectContaining({ code: 'path_ambiguous' }))
    expect([table.match('/x;/a')?.prefix, table.match('/a/c;x=1/b')?.prefix]).toEqual(['/', '/a'])
  })

  it('refuses a prefix, a field or an upstream that is there twice, with the second one’s line', () => {
    expect(
      faultsOf(
        'upstreams:\n' +
          '  own: { targets: [demo] }\n' +
          'routes:\n' +
          '  /x: { upstream: own }\n' +
          '  /x: { upstream: own, auth: public }\n',
      ),
    ).toEqual([expect.stringMatching(/^routes\.yaml:5: /)])
    expect(
      faultsOf('upstreams:\n  own: { targets: [demo] }\n  own: { targets: [demo] }\nroutes: {}\n'),
    ).toEqual([expect.stringMatching(/^routes\.yaml:3: /)])
    expect(
      faultsOf(
        'upstreams: { own: { targets: [demo] } }\n' +
          'routes:\n' +
          '  /x:\n' +
          '    upstream: own\n' +
          '    auth: required\n' +
          '    auth: public\n',
      ),
    ).toEqual([expect.stringMatching(/^routes\.yaml:6: /)])
    expect(
      faultsOf(
        'upstreams: { own: { targets: [demo] } }\nroutes: { "/x": { upstream: own ' +
          "}, '/x': { upstream: own, auth: public } }\n",
      ),
    ).toEqual([expect.stringMatching(/^routes\.yaml:2: /)])
  })

  it.each([
    ['nothing', ''],
    ['a comment', '# nothing yet\n'],
    ['a list', '- a\n- b\n'],
    ['a word', 'routes\n'],
    ['broken YAML', 'upstreams: {\nroutes: [}\n'],
    ['tabs', 'upstreams:\n\town: {}\n'],
    ['two documents', 'upstreams: {}\nroutes: {}\n---\nupstreams: {}\nroutes: {}\n'],
    ['an alias of nothing', 'upstreams: {}\nroutes:\n  /x: *nowhere\n'],
    ['a bomb of aliases', aliasBomb],
    ['binary', '\0\x01\x02'],
  ])('refuses a file of %s as a fault of the file', (_, text) => {
    const faults = faultsOf(text)
    expect(faults.length).toBeGreaterThan(0)
    for (const fault of faults) expect(fault).toMatch(/^routes\.yaml:\d+: /)
  })

  it('of a file names the file, and says that it is missing if it is', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'routes-'))
    try {
      const file = path.join(folder, 'my-routes.yaml')
      await expect(loadRouteTable(file)).rejects.toMatchObject({
        name: 'RouteTableError',
        faults: [`${file}: there is no such file`],
      })
      await writeFile(file, withRoute('{ upstream: own, auth: sometimes }'))
      await expect(loadRouteTable(file)).rejects.toThrow(`${file}:4: `)
      await writeFile(file, withRoute('{ upstream: own }'))
      expect((await loadRouteTable(file)).routes).toHaveLength(1)
      await expect(loadRouteTable(folder)).rejects.toMatchObject({
        faults: [expect.stringMatching(/: Error: EISDIR/)],
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('of the repository can be used', async () => {
    const table = await loadRouteTable(path.join(import.meta.dirname, '../../routes.yaml'))
    expect(table.match('/api/crm/contacts')).toMatchObject({
      prefix: '/api/crm',
      mandate: 'required',
      instance: 'optional',
      permission: { context: 'RESOURCE', item: 'crm' },
    })
  })
})
