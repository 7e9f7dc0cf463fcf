import { describe, expect, it } from '@jest/globals'
import { addRoute } from '../../src/proxy/add-route.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'

const route = { prefix: '/orders', target: 'http://127.0.0.1:9000', item: 'orders', strip: false }
const files: [string, string | undefined][] = [
  ['no file', undefined],
  ['empty sections', 'upstreams: {}\nroutes: {}\n'],
  [
    'comments everywhere',
    '# top\n' +
      'upstreams: # all of them\n' +
      '    # the first\n' +
      '    a: # its name\n' +
      '        targets: [http://127.0.0.1:1] # one\n' +
      '\n' +
      '# between\n' +
      'routes:\n' +
      '  # the only one\n' +
      '  /a: { upstream: a } # short\n' +
      '# end\n',
  ],
  ['routes first, no end of line', 'routes:\n  /a:\n    upstream: a\nupstreams:\n  a: { targets: [demo] }'],
  [
    'lines that end as Windows ends them',
    'upstreams:\r\n  a: { targets: [demo] }\r\nroutes:\r\n  /a: { upstream: a }\r\n',
  ],
]

describe('a route that is added to a route file', () => {
  it.each(files)('is in it beside all that was there: %s', (_, text) => {
    const added = addRoute(text, 'routes.yaml', route)
    const table = parseRouteTable(added.text, 'routes.yaml')
    expect(added.made).toBe(true)
    expect(table.match('/orders/7')).toMatchObject({
      prefix: '/orders',
      upstream: 'orders',
      auth: 'required',
      mandate: 'required',
      permission: { context: 'RESOURCE', item: 'orders' },
    })
    expect(table.upstreams.orders?.targets).toEqual(['http://127.0.0.1:9000'])
    const lines = added.text.split('\n')
    const before = (text ?? '').split('\n').filter((line) => !line.endsWith('{}'))
    expect(before.filter((line) => !lines.includes(line))).toEqual([])
    if (text?.includes('/a') === true) expect(table.match('/a')?.upstream).toBe('a')
  })

  it('is not added again, and another service cannot take its path', () => {
    const { text } = addRoute(undefined, 'routes.yaml', route)
    expect(addRoute(text, 'routes.yaml', route)).toEqual({ text, made: false })
    expect(() => addRoute(text, 'routes.yaml', { ...route, target: 'http://127.0.0.1:1' })).toThrow(
      /has a route for \/orders already, to the upstream orders/,
    )
  })

  it('shares the upstream of its service, and takes a free name where another has it', () => {
    const { text } = addRoute(undefined, 'routes.yaml', route)
    const shared = parseRouteTable(
      addRoute(text, 'routes.yaml', { ...route, prefix: '/more', item: 'more' }).text,
      'routes.yaml',
    )
    expect(Object.keys(shared.upstreams)).toEqual(['orders'])
    const other = parseRouteTable(
      addRoute(text, 'routes.yaml', { ...route, prefix: '/old/orders', target: 'http://127.0.0.1:1' }).text,
      'routes.yaml',
    )
    expect(other.match('/old/orders')?.upstream).toBe('orders-2')
  })

  it.each(['true', '123', 'null', 'no', 'a.b-c'])(
    'may be about an item that YAML would read as something else: %s',
    (item) => {
      const table = parseRouteTable(
        addRoute(undefined, 'routes.yaml', { ...route, item }).text,
        'routes.yaml',
      )
      expect(table.match('/orders')?.permission?.item).toBe(item)
    },
  )

  it('may lead to an address in brackets', () => {
    const table = parseRouteTable(
      addRoute(undefined, 'routes.yaml', { ...route, target: 'http://[::1]:9000' }).text,
      'routes.yaml',
    )
    expect(table.upstreams.orders?.targets).toEqual(['http://[::1]:9000'])
  })

  it('is shown to be written by hand where a section is in one line; a file with faults is not touched', () => {
    expect(() =>
      addRoute('upstreams: { a: { targets: [demo] } }\nroutes: {}\n', 'routes.yaml', route),
    ).toThrow(/Add these lines by hand[^]*\/orders:\n {4}upstream: orders/)
    expect(() => addRoute('upstreams: []\nroutes: {}\n', 'routes.yaml', route)).toThrow(
      /routes\.yaml:1: upstreams/,
    )
  })
})
