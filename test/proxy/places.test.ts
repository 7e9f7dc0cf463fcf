import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer as createHttp, type RequestListener, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { examineUpstreams } from '../../src/commands/doctor/surroundings.js'
import { RouteTableError, parseRouteTable } from '../../src/proxy/route-table.js'
import { makeCertificate } from '../support/certificate.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'

/** A DNS server that answers each question for an IPv4 address with those it is given (RFC 1035 §4). */
async function startDns() {
  const dns = {
    addresses: [] as string[],
    asked: 0,
    server: '',
    stop: () => {
      socket.close()
    },
  }
  const socket = createSocket('udp4', (question, { port, address }) => {
    dns.asked += 1
    const nameEnd = question.indexOf(0, 12) + 1
    const isA = question.readUInt16BE(nameEnd) === 1
    const records = isA
      ? dns.addresses.map((one) =>
          Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...one.split('.').map(Number)]),
        )
      : []
    const head = Buffer.from([
      ...question.subarray(0, 2),
      0x81,
      dns.addresses.length === 0 ? 0x82 : 0x80,
      0,
      1,
      0,
      records.length,
      0,
      0,
      0,
      0,
    ])
    socket.send(Buffer.concat([head, question.subarray(12, nameEnd + 4), ...records]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  dns.server = `127.0.0.1:${socket.address().port}`
  return dns
}

describe('the places of an upstream', () => {
  let folder: string
  let database: TestDatabase
  let gateway: TestGateway | undefined
  const servers: Server[] = []
  const dnsServers: Awaited<ReturnType<typeof startDns>>[] = []
  const file = (name: string) => path.join(folder, name)

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'places-'))
    database = await createTestDatabase()
    const make = (name: string, subject: string, ...more: string[]) =>
      makeCertificate(
        { key: path.join(folder, `${name}.key`), certificate: path.join(folder, `${name}.crt`) },
        `/CN=${subject}`,
        ...more,
      )
    await make('ca', 'authority')
    const byAuthority = ['-CA', path.join(folder, 'ca.crt'), '-CAkey', path.join(folder, 'ca.key')]
    await make('service', 'crm.internal', ...byAuthority, '-addext', 'subjectAltName=DNS:crm.internal')
    await make('gateway', 'the-gateway', ...byAuthority)
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
    for (const dns of dnsServers.splice(0)) dns.stop()
    await Promise.all(
      servers.splice(0).map(
        (server) =>
          new Promise((resolve) => {
            server.closeAllConnections()
            server.close(resolve)
          }),
      ),
    )
  })
  afterAll(async () => {
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const routesOf = (upstream: string) =>
    `{ upstreams: { own: ${upstream} }, routes: { /a: { upstream: own, auth: public } } }`
  const start = async (upstream: string) => {
    gateway = await startTestGateway({ database, routes: routesOf(upstream) })
  }
  const ask = (line = 'GET /a') => sendLines(gateway!.url, line)
  async function listen(server: Server, ...at: [number, string] | [string]) {
    servers.push(server)
    if (typeof at[0] === 'string') server.listen(at[0])
    else server.listen(at[0], at[1])
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const saying =
    (text: string): RequestListener =>
    (_req, res) => {
      res.end(text)
    }

  async function startSecure() {
    const [key, cert, ca] = await Promise.all(
      ['service.key', 'service.crt', 'ca.crt'].map((name) => readFile(file(name))),
    )
    const server = createHttps(
      { key, cert, ca, requestCert: true, rejectUnauthorized: false },
      (req, res) => {
        const socket = req.socket as TLSSocket
        res.end(socket.authorized ? socket.getPeerCertificate().subject.CN : 'nobody')
      },
    )
    return await listen(server, 0, '127.0.0.1')
  }

  it('are looked up while traffic flows: a name that moves is followed, and no request fails', async () => {
    const dns = await startDns()
    dnsServers.push(dns)
    const port = await listen(createHttp(saying('old')), 0, '127.0.0.2')
    await listen(createHttp(saying('new')), port, '127.0.0.3')
    dns.addresses = ['127.0.0.2']
    await start(
      `{ targets: ['http://crm.internal:${port}'], resolve: { server: '${dns.server}', intervalMs: 50 } }`,
    )
    const bodies: string[] = []
    const next = async () => {
      const answer = await ask()
      expect(answer.status).toBe(200)
      bodies.push(answer.body)
      return answer.body
    }
    for (let count = 0; count < 20; count += 1) expect(await next()).toBe('old')
    dns.addresses = ['127.0.0.3']
    await until(async () => (await next()) === 'new')
    for (let count = 0; count < 20; count += 1) expect(await next()).toBe('new')
    dns.addresses = []
    const before = dns.asked
    await until(() => Promise.resolve(dns.asked > before + 4))
    expect(await next()).toBe('new')
  })

  it('are all addresses of a name, in turn', async () => {
    const dns = await startDns()
    dnsServers.push(dns)
    const port = await listen(createHttp(saying('two')), 0, '127.0.0.2')
    await listen(createHttp(saying('three')), port, '127.0.0.3')
    dns.addresses = ['127.0.0.2', '127.0.0.3']
    await start(
      `{ targets: ['http://crm.internal:${port}'], resolve: { server: '${dns.server}', intervalMs: 50 } }`,
    )
    await until(async () => new Set([(await ask()).body, (await ask()).body]).size === 2)
    const counts = { two: 0, three: 0 }
    for (let count = 0; count < 40; count += 1) counts[(await ask()).body as 'two' | 'three'] += 1
    expect(counts).toEqual({ two: 20, three: 20 })
  })

  it('may be Unix sockets', async () => {
    await listen(
      createHttp((req, res) => {
        res.end(`${req.method ?? ''} ${req.headers.host ?? ''}`)
      }),
      file('crm.sock'),
    )
    await start(`{ targets: ['unix:${file('crm.sock')}'], health: /healthz }`)
    expect((await ask('POST /a')).body).toBe('POST localhost')
    const findings = await examineUpstreams(
      parseRouteTable(routesOf(`{ targets: ['unix:${file('crm.sock')}'] }`), 'routes.yaml'),
    )
    expect(findings.map(({ level }) => level)).toEqual(['ok'])
  })

  it('have an authority, a name and a client certificate of their own', async () => {
    const port = await startSecure()
    await start(
      `{ targets: ['https://127.0.0.1:${port}'], tls: { ca: '${file('ca.crt')}', serverName: ` +
        `crm.internal, cert: '${file('gateway.crt')}', key: '${file('gateway.key')}' } }`,
    )
    const answer = await ask()
    expect([answer.status, answer.body]).toEqual([200, 'the-gateway'])
  })

  it.each([
    [
      'an authority that nobody named',
      () => `{ serverName: crm.internal }`,
      /unable to (?:verify|get)|self.signed/,
    ],
    [
      'another name',
      () => `{ ca: '${file('ca.crt')}', serverName: other.internal }`,
      /altnames.*other\.internal|other\.internal.*altnames/is,
    ],
  ])(
    'whose certificate is by %s are sent nothing, and the log and the doctor say why',
    async (_what, tls, reason) => {
      const upstream = `{ targets: ['https://127.0.0.1:${await startSecure()}'], tls: ${tls()} }`
      await start(upstream)
      expect((await ask()).status).toBe(502)
      const line = await until(() =>
        Promise.resolve(gateway!.logLines.find((one) => one.includes('a target cannot be connected to'))),
      )
      expect(line).toMatch(reason)
      const [finding] = await examineUpstreams(parseRouteTable(routesOf(upstream), 'routes.yaml'))
      expect([finding?.level, finding?.check, finding?.says]).toEqual([
        'fault',
        'certificate of own',
        expect.stringMatching(reason),
      ])
    },
  )

  it.each([
    ['a file that is not there', `{ ca: /no/such.pem }`, /such\.pem cannot be read/],
    [
      'a certificate without its key',
      () => `{ cert: '${file('gateway.crt')}' }`,
      /cert and key belong together/,
    ],
    [
      'the key of another certificate',
      () => `{ cert: '${file('gateway.crt')}', key: '${file('service.key')}' }`,
      /cannot be used/,
    ],
  ])('with %s are a fault of the route table', (_what, tls, words) => {
    const parse = () =>
      parseRouteTable(
        routesOf(`{ targets: ['https://127.0.0.1:1'], tls: ${typeof tls === 'string' ? tls : tls()} }`),
        'routes.yaml',
      )
    expect(parse).toThrow(RouteTableError)
    expect(parse).toThrow(words)
  })
})
