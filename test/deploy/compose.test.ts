import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { validate } from 'dockerfile-utils'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { demoRoutes, startTestGateway, type TestGateway } from '../support/gateway.js'
import { samplesOf, type Sample } from '../support/scrape.js'

const root = path.resolve(import.meta.dirname, '../..')
/**
 * `docker-compose` reads a file without an engine; where it is not installed only the file itself is looked
 * at.
 */
const hasCompose = spawnSync('docker-compose', ['version']).status === 0
const read = (file: string) => readFile(path.join(root, file), 'utf8')

describe('docker-compose.yml', () => {
  interface Service {
    environment?: Record<string, string>
    read_only?: boolean
    volumes?: string[]
    build?: string
    image?: string
  }
  let services: Record<string, Service>
  beforeAll(async () => {
    services = (parse(await read('docker-compose.yml'), { merge: true }) as { services: typeof services })
      .services
  })

  it('runs three nodes with read-only file systems, behind nginx, with all that they need', () => {
    const nodes = Object.keys(services).filter((name) => name.startsWith('gateway-'))
    expect(nodes).toHaveLength(3)
    expect(nodes.every((name) => services[name]?.read_only === true)).toBe(true)
    expect(Object.keys(services)).toEqual(
      expect.arrayContaining(['nginx', 'postgres', 'redis', 'crm', 'prometheus', 'grafana']),
    )
  })

  it('configures the nodes with variables that there are, and values that a start takes', () => {
    const environment = services['gateway-1']?.environment ?? {}
    const filled = Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [
        name,
        value.replace(
          /\$\{\w+(?::-([^}]*)|:\?)\}/g,
          (_all, usual?: string) => usual ?? 'Zk3v9QpX7rT2mN8wLbY5cF1hJ6sD4gAaEeUuIiOo',
        ),
      ]),
    )
    const config = loadConfig(filled)
    expect(Object.keys(filled).filter((name) => !(name in config))).toEqual([])
  })

  it('mounts files that there are', async () => {
    for (const { volumes = [] } of Object.values(services)) {
      for (const volume of volumes.filter((one) => one.startsWith('./') && !one.includes('grafana')))
        await read(volume.split(':')[0] ?? '')
    }
    expect(() => parseRouteTable('', 'x')).toThrow()
    parseRouteTable(await read('deploy/compose/routes.yaml'), 'routes.yaml')
  })

  const withCompose = hasCompose ? it : it.skip
  withCompose(
    'is taken by docker-compose as it is, and says which secrets are ' +
      `missing${hasCompose ? '' : ': skipped, as docker-compose is not installed (apt-get install docker-compose)'}`,
    () => {
      const secrets = {
        POSTGRES_PASSWORD: 'postgres-secret',
        POSTGRES_GATEWAY_PASSWORD: 'gateway-secret',
        APP_JWT_KEY_SECRET: 'x'.repeat(40),
        SECRET_KEY: 'y'.repeat(40),
        GRAFANA_PASSWORD: 'grafana-secret',
      }
      const config = (environment: Record<string, string>) =>
        spawnSync('docker-compose', ['-f', 'docker-compose.yml', 'config'], {
          cwd: root,
          env: { PATH: process.env.PATH, ...environment },
          encoding: 'utf8',
        })
      const { status, stdout } = config(secrets)
      expect(status).toBe(0)
      expect(Object.keys((parse(stdout) as { services: object }).services).sort()).toEqual(
        Object.keys(services).sort(),
      )
      for (const missing of Object.keys(secrets)) {
        const refused = config(
          Object.fromEntries(Object.entries(secrets).filter(([name]) => name !== missing)),
        )
        expect(refused.status).not.toBe(0)
        expect(refused.stderr).toContain(missing)
      }
    },
    60_000,
  )

  it('has nginx configured as deploy/nginx/gateway.conf is, but for the nodes', async () => {
    const rest = (text: string) =>
      text
        .split('\n')
        .slice(1)
        .filter((line) => !/^ {4}server [\w.:-]+ (?:fail_timeout=1s|max_fails=0 backup);$/.test(line))
        .join('\n')
    expect(rest(await read('deploy/compose/nginx.conf'))).toBe(rest(await read('deploy/nginx/gateway.conf')))
  })
})

describe('the Dockerfile', () => {
  it('has no fault that a linter finds', async () => {
    const text = await read('Dockerfile')
    expect(validate(text)).toEqual([])
    // it does find some
    expect(validate(text.replace(/^CMD .*$/m, 'CMD ["node"\nMAINTAINER somebody'))).not.toEqual([])
  })

  it('runs as somebody else than root, tells whether it is ready, and is told nothing secret', async () => {
    const text = await read('Dockerfile')
    expect(text.slice(text.lastIndexOf('\nFROM'))).toMatch(/^USER 1000:1000$/m)
    expect(text).toMatch(/^HEALTHCHECK /m)
    expect(text).not.toMatch(/SECRET|PASSWORD/)
  })
})

describe('the dashboard of Grafana', () => {
  let gateway: TestGateway
  let samples: Sample[]
  let queries: string[]
  beforeAll(async () => {
    const { panels } = JSON.parse(await read('deploy/compose/grafana/dashboards/gateway.json')) as {
      panels: { targets: { expr: string }[] }[]
    }
    queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    gateway = await startTestGateway({
      demoUpstream: true,
      routes: `${demoRoutes}  /api/moving: { upstream: crm, credentials: pass, decide: watch }\n`,
      environment: { COHERENCE_LEASE_MS: '5000' },
    })
    const [alice, root] = [
      (await tokenFor(gateway.database, 'alice')).token,
      (await tokenFor(gateway.database, 'root')).token,
    ]
    const bearer = (token: string) => ({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme })
    await sendRequest(gateway.url, '/api/crm/contacts', { headers: bearer(alice) })
    await sendRequest(gateway.url, '/api/crm/contacts', { headers: bearer(root) })
    await sendRequest(gateway.url, '/auth/me')
    await sendRequest(gateway.url, '/api/moving')
    const { jti } = await tokenFor(gateway.database, 'bob')
    expect(
      (await sendRequest(gateway.url, `/system/tokens/${jti}`, { method: 'DELETE', headers: bearer(root) }))
        .status,
    ).toBe(200)
    samples = samplesOf((await sendRequest(gateway.url, '/metrics')).text)
  })
  afterAll(() => gateway.stop())

  it('asks for nothing that a gateway does not tell: each name, and each label', () => {
    expect(queries.length).toBeGreaterThan(20)
    for (const query of queries) {
      const names = [...query.matchAll(/\b(?:gateway|nodejs|process)_\w+/g)].map(([name]) => name)
      const labels = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
        list.split(',').map((label) => label.trim()),
      )
      const matchers = [...query.matchAll(/(\w+)(!?=)"([^"]*)"/g)]
      expect(names).not.toEqual([])
      for (const name of names) {
        const found = samples.filter((sample) => sample.name === name)
        expect([query, name, found.length > 0]).toEqual([query, name, true])
        for (const label of labels)
          expect([query, label, found.some((sample) => label in sample.labels)]).toEqual([query, label, true])
        for (const [, label = '', operator, value] of matchers) {
          expect([
            query,
            label,
            found.some((sample) =>
              operator === '='
                ? sample.labels[label] === value
                : sample.labels[label] !== undefined && sample.labels[label] !== value,
            ),
          ]).toEqual([query, label, true])
        }
      }
    }
  })

  it('shows everything that the gateway counts of itself', () => {
    const told = new Set(
      samples
        .map(({ name }) => name.replace(/_(?:bucket|sum|count)$/, ''))
        .filter((name) => name.startsWith('gateway_')),
    )
    expect([...told].filter((name) => !queries.some((query) => query.includes(name)))).toEqual([])
  })
})
