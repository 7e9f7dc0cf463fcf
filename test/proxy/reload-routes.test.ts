import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm, symlink, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('a route file that changes', () => {
  let upstream: Upstream
  let database: TestDatabase
  let folder: string
  let file: string
  let gateway: GatewayProcess
  let url: string

  /** A route file with these prefixes, and `/always`. */
  const tableOf = (...prefixes: string[]) =>
    `upstreams: { own: { targets: ['${upstream.url}'] } }\n` +
    'routes:\n' +
    '  /always: { upstream: own, auth: public }\n' +
    prefixes.map((prefix) => `  ${prefix}: { upstream: own, auth: public }\n`).join('')
  const statusOf = async (pathname: string, base = url) => {
    const response = await fetch(base + pathname)
    await response.arrayBuffer()
    return response.status
  }
  const isServed = (pathname: string, base = url) =>
    until(async () => (await statusOf(pathname, base)) === 200 || undefined, 15_000)

  /** The log lines of readings: whether each was taken, and what changed by it. */
  const readings = (of = gateway) =>
    of
      .output()
      .split('\n')
      .filter((line) => line.includes('"message":"the route table was '))
      .map((line) => JSON.parse(line) as { level: string; changed?: boolean; faults?: string[] })
  const readingsAfter = (count: number, more = 1, of = gateway) =>
    until(() => {
      const all = readings(of).slice(count)
      return Promise.resolve(all.length >= more ? all : undefined)
    }, 15_000)

  async function start(environment: Record<string, string>) {
    return startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      GATEWAY_ROUTES: file,
      RATE_LIMIT_ADDRESS: 'off',
      ...environment,
    })
  }

  beforeAll(async () => {
    ;[upstream, database, folder] = [await startUpstream(), await createTestDatabase(), await makeDataDir()]
    file = path.join(folder, 'routes.yaml')
    await writeFile(file, tableOf('/first'))
    gateway = await start({ GATEWAY_ROUTES_WATCH: 'true' })
    url = await gateway.url()
    await readingsAfter(0) // the look at what may have changed before it was watched
  })
  afterAll(async () => {
    await cleanUpProcesses()
    await database.drop()
    await upstream.stop()
  })

  /** Points a link to another place. */
  async function pointTo(target: string, link = file): Promise<void> {
    await symlink(target, `${link}.new`)
    await rename(`${link}.new`, link)
  }
  /** A pipe in place of a file, which the gateway reads for as long as the test wants. */
  function makePipe(): string {
    const pipe = path.join(folder, `pipe-${randomUUID()}`)
    execFileSync('mkfifo', [pipe])
    return pipe
  }
  /** Opens as soon as the gateway reads: from here on its reading waits for what is written. */
  const openPipe = (pipe: string) =>
    until(() => open(pipe, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined), 15_000)

  /** Resolves when everything that the gateway has logged so far has arrived here. */
  async function logArrived(): Promise<void> {
    const id = randomUUID()
    await fetch(`${url}/always`, { headers: { 'X-Request-Id': id } })
    await gateway.says(new RegExp(id))
  }

  /** Each test begins with a table of the file itself, no link, in force. */
  beforeEach(async () => {
    const prefix = `/of-${randomUUID()}`
    await writeFile(`${file}.new`, tableOf('/first', prefix))
    await rename(`${file}.new`, file)
    await isServed(prefix)
    await logArrived()
  })

  it('is taken when another is renamed to its place', async () => {
    await writeFile(`${file}.new`, tableOf('/renamed'))
    await rename(`${file}.new`, file)
    await isServed('/renamed')
    expect(await statusOf('/first')).toBe(404)
  })

  it('is taken when it is written in place', async () => {
    await writeFile(file, tableOf('/in-place'))
    await isServed('/in-place')
    expect(await statusOf('/first')).toBe(404)
  })

  it('is taken when a link above it is swapped, as mounted configuration changes', async () => {
    const [first, second, data] = [
      path.join(folder, 'v1'),
      path.join(folder, 'v2'),
      path.join(folder, '..data'),
    ]
    await writeFile(first, tableOf('/v1'))
    await writeFile(second, tableOf('/v2'))
    await pointTo(first, data)
    await pointTo(data)
    await isServed('/v1')
    await pointTo(second, data) // the route file itself, a link to `..data`, stays what it is
    await isServed('/v2')
    expect(await statusOf('/v1')).toBe(404)
  })

  it('keeps the old table where it has faults, says why once, and takes the next good one', async () => {
    const count = readings().length
    await writeFile(file, `${tableOf('/half')}  /broken: { upstream: nobody }\n`)
    const [refused] = await readingsAfter(count)
    expect(refused).toMatchObject({
      level: 'error',
      faults: [expect.stringMatching(/routes\.yaml:5: .*nobody/)],
    })
    expect([await statusOf('/first'), await statusOf('/half')]).toEqual([200, 404])

    await rm(file)
    const missing = (await readingsAfter(count, 2))[1]
    expect(missing).toMatchObject({ level: 'error', faults: [expect.stringContaining('no such file')] })
    expect(await statusOf('/first')).toBe(200)

    await writeFile(file, tableOf('/mended'))
    await isServed('/mended')
    expect((await readingsAfter(count, 3)).map(({ level }) => level)).toEqual(['error', 'error', 'info'])
  })

  it('is read anew at SIGHUP at once, and leaves everything as it is where nothing has changed', async () => {
    const count = readings().length
    gateway.child.kill('SIGHUP')
    expect(await readingsAfter(count)).toEqual([expect.objectContaining({ level: 'info', changed: false })])
    await writeFile(file, tableOf('/hung-up'))
    gateway.child.kill('SIGHUP')
    expect((await readingsAfter(count, 2))[1]).toMatchObject({ level: 'info', changed: true })
    expect(await statusOf('/hung-up')).toBe(200)
    // by the watch, which notices the same
    expect((await readingsAfter(count, 3))[2]).toMatchObject({ level: 'info', changed: false })
  })

  it('that is written slowly is taken as a whole, never a part of it', async () => {
    const count = readings().length
    const handle = await open(file, 'w')
    const lines = tableOf(...Array.from({ length: 12 }, (_, index) => `/slow-${index}`)).split(/(?<=\n)/)
    for (const line of lines) {
      await handle.write(line)
      await setTimeout(150) // two seconds in all: some looks at the file find it half written
      expect(await statusOf('/first')).toBe(200)
    }
    await handle.close()
    await isServed('/slow-11')
    expect(await readingsAfter(count)).toEqual([expect.objectContaining({ level: 'info', routes: 13 })])
  })

  it('whose older reading takes long does not take the place of what was read after it', async () => {
    const [pipe, newer, link] = [makePipe(), path.join(folder, 'newer.yaml'), path.join(folder, 'newest')]
    await writeFile(newer, tableOf('/newer'))
    await pointTo(file, link)
    const started = await start({ GATEWAY_ROUTES: link })
    const base = await started.url()
    await pointTo(pipe, link)
    started.child.kill('SIGHUP')
    const writer = await openPipe(pipe)
    await pointTo(newer, link)
    started.child.kill('SIGHUP')
    await setTimeout(300) // without order the newer one would have been read by now
    await writer.writeFile(tableOf('/older'))
    await writer.close()
    await readingsAfter(0, 2, started)
    expect([await statusOf('/older', base), await statusOf('/newer', base)]).toEqual([404, 200])
  })

  it('fails no request, however often and in whatever way it changes', async () => {
    let isOver = false
    const outcomes = new Map<number, number>()
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const status = await statusOf('/always')
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1)
      }
    })
    const changes: [string, (text: string) => Promise<void>][] = [
      ['/load-0', (text) => writeFile(file, text)],
      [
        '/load-1',
        async (text) => {
          await writeFile(`${file}.new`, text)
          await rename(`${file}.new`, file)
        },
      ],
      [
        '/load-2',
        async (text) => {
          await writeFile(file, 'half a')
          gateway.child.kill('SIGHUP')
          await writeFile(file, text)
        },
      ],
    ]
    for (const [prefix, change] of changes) {
      await change(tableOf(prefix))
      await isServed(prefix)
    }
    isOver = true
    await Promise.all(clients)
    expect([...outcomes.keys()]).toEqual([200])
    expect(outcomes.get(200)).toBeGreaterThan(30)
  })

  it('is taken as well when it changes between being read and being watched', async () => {
    const [pipe, newer, link] = [makePipe(), path.join(folder, 'early.yaml'), path.join(folder, 'earliest')]
    await writeFile(newer, tableOf('/early'))
    await pointTo(pipe, link)
    const started = await start({ GATEWAY_ROUTES: link, GATEWAY_ROUTES_WATCH: 'true' })
    const answer = async (writer: FileHandle) => {
      await writer.writeFile(tableOf())
      await writer.close()
    }
    await answer(await openPipe(pipe)) // a start looks for faults before anything else
    await started.says(/secrets were generated/)
    const writer = await openPipe(pipe)
    await pointTo(newer, link)
    await answer(writer)
    await isServed('/early', await started.url())
  })

  it('waits for SIGHUP where it is not watched, which is the default but on a terminal', async () => {
    expect([
      loadConfig({}).GATEWAY_ROUTES_WATCH,
      loadConfig({ GATEWAY_ROUTES_WATCH: 'true' }).GATEWAY_ROUTES_WATCH,
    ]).toEqual([undefined, true])
    expect(() => loadConfig({ GATEWAY_ROUTES_WATCH: 'often' })).toThrow(
      /GATEWAY_ROUTES_WATCH: must be true or false/,
    )
    const started = await start({})
    const base = await started.url()
    await writeFile(file, tableOf('/unwatched'))
    await isServed('/unwatched') // by the gateway that watches: the other one had the same time
    expect(await statusOf('/unwatched', base)).toBe(404)
    started.child.kill('SIGHUP')
    await isServed('/unwatched', base)
  })

  it('can change up to the end: a gateway that drains is not ended by SIGHUP, and ends with 0', async () => {
    const started = await start({ GATEWAY_ROUTES_WATCH: 'true' })
    const base = await started.url()
    let release: () => void = () => undefined
    const begun = new Promise<void>((resolve) =>
      upstream.answerWith((_req, res) => {
        release = () => {
          res.end('done')
        }
        resolve()
      }),
    )
    const response = fetch(`${base}/always`)
    await begun
    upstream.answerWith(undefined)
    started.child.kill('SIGTERM')
    await started.says(/"message":"draining"/)
    started.child.kill('SIGHUP')
    await writeFile(file, tableOf('/late'))
    await isServed('/late')
    release()
    expect(await (await response).text()).toBe('done')
    expect(await started.ended).toBe(0)
  })
})
