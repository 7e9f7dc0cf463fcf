import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.js'
import { createMatcher } from '../../src/proxy/match-route.js'
import type { Route } from '../../src/proxy/route.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'

const segment = fc.constantFrom('a', 'b', 'ab', 'a-b', 'c.d', '~', 'api')
const prefix = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
const host = fc.constantFrom(undefined, ['x.example'], ['*.example'], ['*.x.example', 'y.example'])
const route = fc
  .record({ prefix, host })
  .map((fields): Route => ({ ...fields, name: JSON.stringify(fields), coversOwn: false }) as unknown as Route)
const routes = fc.uniqueArray(route, { maxLength: 12, selector: ({ name }) => name })
const requestedHost = fc.constantFrom(
  undefined,
  'x.example',
  'Y.example:8080',
  'z.x.example',
  'example',
  'other.test',
)
const requestedPath = fc.oneof(
  prefix,
  fc.array(fc.oneof(segment, fc.constant('')), { maxLength: 6 }).map((segments) => `/${segments.join('/')}`),
)

/** Returns the place of a route's best host for a requested host; undefined where it takes none of them. */
function hostPlace(hosts: readonly string[] | undefined, asked: string): number | undefined {
  if (hosts === undefined) return 0
  const places = hosts.flatMap((one) => {
    if (one === asked) return [1000]
    return one.startsWith('*.') && asked.endsWith(one.slice(1)) && asked.length >= one.length
      ? [one.length]
      : []
  })
  return places.length === 0 ? undefined : Math.max(...places)
}

/** Asks each route, one after the other. */
function naiveMatch(all: Route[], path: string, asked: string | undefined): Route | undefined {
  const plain = (asked ?? '').toLowerCase().replace(/:\d+$/, '')
  const within = ({ prefix: own }: Route) => own === '/' || path === own || path.startsWith(`${own}/`)
  return all
    .flatMap((one) => {
      const place = hostPlace(one.host, plain)
      return within(one) && place !== undefined ? [{ one, place }] : []
    })
    .sort((x, y) => y.one.prefix.length - x.one.prefix.length || y.place - x.place)[0]?.one
}

describe('the match of a route', () => {
  it('is the route that asking each one by one finds, for any table, path and host', () => {
    let matched = 0
    fc.assert(
      fc.property(routes, requestedPath, requestedHost, (all, path, asked) => {
        const expected = naiveMatch(all, path, asked)
        if (expected) matched += 1
        expect(createMatcher(all)(path, asked)?.name).toBe(expected?.name)
      }),
      { numRuns: 20_000 },
    )
    expect(matched).toBeGreaterThan(5000)
  })

  it('takes no longer among 1,000 routes than among ten', () => {
    const tableOf = (count: number) =>
      parseRouteTable(
        [
          'upstreams: {one: {targets: [http://127.0.0.1:9000]}}',
          'routes:',
          ...Array.from({ length: count }, (_, n) => `  /area${n}/part: {upstream: one}`),
        ].join('\n'),
        'routes.yaml',
      )
    const nsOf = (count: number) => {
      const { match } = tableOf(count)
      const path = `/area${count - 1}/part/thing`
      const rounds = 20_000
      const times = Array.from({ length: 7 }, () => {
        const start = process.hrtime.bigint()
        for (let n = 0; n < rounds; n += 1) match(path)
        return Number(process.hrtime.bigint() - start) / rounds
      })
      return Math.min(...times)
    }
    nsOf(10)
    expect(nsOf(1000) / nsOf(10)).toBeLessThan(5) // 40 and more where each route is asked
  })

  it('still refuses a path that belongs to another route for programs that ignore case', () => {
    const { match } = parseRouteTable(
      'upstreams: {one: {targets: [http://127.0.0.1:9000]}}\nroutes:\n  /api: {upstream: one}\n  /api/secret: {upstream: one}\n',
      'routes.yaml',
    )
    expect(() => match('/api/SECRET/x')).toThrow(GatewayError)
    expect(match('/api/secret/x')?.prefix).toBe('/api/secret')
  })
})
