import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { parse } from 'yaml'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { startEmbeddedPostgres } from '#embedded-postgres'
import { allFences, type Fence } from '../support/fences.js'

const fences = await allFences()
const inLanguage = (language: string) => fences.filter((fence) => fence.language === language)
const at = ({ file, line }: Fence) => `${file}:${line}`

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-docs-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Named {
  upstream?: string
}

/** The routes of a sample, with an upstream for each that the sample leaves to its reader. */
function wholeTable(text: string): string {
  const sample = parse(text) as {
    upstreams?: Record<string, unknown>
    routes?: Record<string, Named | Named[]>
  }
  if (sample.upstreams !== undefined) return text
  const names = new Set(
    Object.values(sample.routes ?? {})
      .flat()
      .flatMap(({ upstream }) => upstream ?? []),
  )
  return JSON.stringify({
    upstreams: Object.fromEntries([...names].map((name) => [name, { targets: ['http://127.0.0.1:9000'] }])),
    ...sample,
  })
}

describe('the documentation’s samples', () => {
  it.each(inLanguage('yaml').map((fence) => [at(fence), fence] as const))(
    '%s is a route table without a fault',
    (_, fence) => {
      expect(parseRouteTable(wholeTable(fence.text), at(fence)).routes.length).toBeGreaterThan(0)
    },
  )

  it.each(inLanguage('json').map((fence) => [at(fence), fence] as const))('%s is JSON', (_, fence) => {
    expect(JSON.parse(fence.text)).toBeInstanceOf(Object)
  })

  it('of SQL are taken by a new Postgres, as its owner', async () => {
    const postgres = await startEmbeddedPostgres({
      dataDir: path.join(folder, 'data'),
      durable: false,
      log: () => undefined,
    })
    const client = new pg.Client(postgres.ownerUrl)
    await client.connect()
    try {
      await client.query('drop role gateway; drop role gateway_app')
      for (const fence of inLanguage('sql'))
        await client.query(fence.text).catch((error: unknown) => {
          throw new Error(at(fence), { cause: error })
        })
    } finally {
      await client.end()
      await postgres.stop()
    }
    expect(inLanguage('sql').length).toBeGreaterThan(0)
  })

  it.each(inLanguage('nginx').map((fence) => [at(fence), fence] as const))(
    '%s is taken by nginx',
    async (_, fence) => {
      const file = path.join(folder, 'nginx.conf')
      await writeFile(
        file,
        `pid ${folder}/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${fence.text}\n}\n`,
      )
      const { stderr } = await promisify(execFile)('nginx', ['-t', '-c', file])
      expect(stderr).toContain('test is successful')
    },
  )
})
