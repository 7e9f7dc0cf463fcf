import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { long, report } from '../faults/support/mode.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { testSecret } from '../support/gateway.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../support/gateway-process.js'

/** A gibibyte with `FAULTS=long`, else as much as could not be held within the limit all the same. */
const length = long ? 1024 ** 3 : 384 * 1024 ** 2
/** A process that has just started takes about half of this. */
const maxMegabytes = 256
const block = Buffer.alloc(256 * 1024, 'x')

/** As many bytes, made as they are read. */
function bytes(count: number): Readable {
  let left = count
  return new Readable({
    highWaterMark: block.length,
    read() {
      const size = Math.min(left, block.length)
      left -= size
      this.push(size > 0 ? block.subarray(0, size) : null)
    },
  })
}

/** Counts what is written to it. */
function counter() {
  const counted = { count: 0 }
  return Object.assign(counted, {
    sink: new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        counted.count += chunk.length
        done()
      },
    }),
  })
}

describe('a large body through a gateway process', () => {
  let database: TestDatabase
  let service: Server
  let directory: string
  let gateway: GatewayProcess
  let url: string
  let headers: Record<string, string>
  beforeAll(async () => {
    database = await createTestDatabase()
    service = createServer((req, res) => {
      const exact = req.url?.includes('exact') === true
      if (req.method === 'GET') {
        res.writeHead(200, exact ? { 'Content-Length': String(length) } : {})
        pipeline(bytes(length), res).catch(() => undefined)
        return
      }
      const received = counter()
      pipeline(req, received.sink).then(
        () => res.end(String(received.count)),
        () => res.destroy(),
      )
    })
    service.listen(0, '127.0.0.1')
    await once(service, 'listening')
    directory = await mkdtemp(path.join(tmpdir(), 'large-bodies-'))
    await writeFile(
      path.join(directory, 'routes.yaml'),
      `
upstreams: { own: { targets: ['http://127.0.0.1:${(service.address() as AddressInfo).port}'] } }
routes:
  /api: { upstream: own }
`,
    )
    gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: `${testSecret}-portal`,
      SEED_DEMO: 'false',
      GATEWAY_ROUTES: path.join(directory, 'routes.yaml'),
    })
    url = await gateway.url()
    headers = { Authorization: `Bearer ${(await tokenFor(database, 'alice')).token}` }
  })
  afterAll(async () => {
    await cleanUpProcesses()
    service.closeAllConnections()
    await new Promise((resolve) => service.close(resolve))
    await database.drop()
    await rm(directory, { recursive: true })
  })

  /** Does `work`, and answers the most that was resident of the gateway's process meanwhile. */
  async function peakMegabytesOf(work: () => Promise<void>): Promise<number> {
    const process = `/proc/${gateway.child.pid ?? 0}`
    await writeFile(`${process}/clear_refs`, '5') // the peak counts from here
    const megabytes = async (field: string) =>
      Math.round(
        Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(await readFile(`${process}/status`, 'utf8'))?.[1]) /
          1024,
      )
    const before = await megabytes('VmRSS')
    await work()
    const peak = await megabytes('VmHWM')
    report('a large body', { length, before, peak })
    return peak
  }

  it.each(['exact'])(
    'arrives whole at the service (%s), in little memory',
    async (framing) => {
      const peak = await peakMegabytesOf(async () => {
        const req = httpRequest(`${url}/api/${framing}`, {
          method: 'POST',
          headers: { ...headers, ...(framing === 'exact' ? { 'Content-Length': String(length) } : {}) },
        })
        const response = once(req, 'response') as Promise<[IncomingMessage]>
        await pipeline(bytes(length), req)
        const [res] = await response
        const [body] = (await once(res, 'data')) as [Buffer]
        expect([res.statusCode, Number(body.toString())]).toEqual([200, length])
      })
      expect(peak).toBeLessThan(maxMegabytes)
    },
    60_000,
  )

  it.each(['chunked'])(
    'arrives whole at the client (%s), in little memory',
    async (framing) => {
      const peak = await peakMegabytesOf(async () => {
        const req = httpRequest(`${url}/api/${framing}`, { headers })
        req.end()
        const [res] = (await once(req, 'response')) as [IncomingMessage]
        const received = counter()
        await pipeline(res, received.sink)
        expect([res.statusCode, received.count]).toEqual([200, length])
      })
      expect(peak).toBeLessThan(maxMegabytes)
    },
    60_000,
  )
})
