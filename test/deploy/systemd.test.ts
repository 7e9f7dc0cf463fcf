import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { runToEnd } from '../support/proxy-process.js'

const root = path.resolve(import.meta.dirname, '../..')
const unit = path.join(root, 'deploy/systemd/mandate-gateway.service')
const longestExposure = 15 // tenths, of 10.0

/** The values of a setting of the unit, in order. */
const settings = async (name: string) =>
  (await readFile(unit, 'utf8'))
    .split('\n')
    .flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []))

/** The system calls of each of systemd's groups. */
async function groupsOfCalls(): Promise<(name: string) => string[]> {
  const { stdout } = await promisify(execFile)('systemd-analyze', ['syscall-filter', '--no-pager'])
  const groups = new Map<string, string[]>()
  for (const block of stdout.split(/\n(?=@)/)) {
    const [name = '', ...lines] = block.split('\n')
    groups.set(
      name.trim(),
      lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#')),
    )
  }
  const expand = (name: string): string[] =>
    name.startsWith('@') ? (groups.get(name) ?? []).flatMap(expand) : [name]
  return expand
}

describe('the unit of systemd', () => {
  it('is taken by systemd as it is, and leaves the gateway little of the machine', async () => {
    expect(await runToEnd('systemd-analyze', ['verify', unit])).toEqual({ code: 0, output: '' })
    const { code, output } = await runToEnd('systemd-analyze', [
      'security',
      '--offline=true',
      '--no-pager',
      `--threshold=${longestExposure}`,
      unit,
    ])
    expect([code, output]).toEqual([0, expect.stringMatching(/Overall exposure level .*: 1\.\d OK/)])
  })

  it('waits longer than the gateway takes to end, and does not restart a wrong configuration', async () => {
    const longestStopMs = Number(
      /longestStopMs = (\d+)_000/.exec(await readFile(path.join(root, 'src/main.ts'), 'utf8'))?.[1],
    )
    expect(Number(await settings('TimeoutStopSec'))).toBeGreaterThan(longestStopMs)
    expect([await settings('RestartPreventExitStatus'), await settings('KillMode')]).toEqual([
      ['78'],
      ['mixed'],
    ])
  })

  describe('while a gateway starts, serves and ends', () => {
    let database: TestDatabase
    let folder = ''
    beforeAll(async () => {
      database = await createTestDatabase()
      folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-unit-'))
    })
    afterAll(async () => {
      await cleanUpProcesses()
      await database.drop()
      await rm(folder, { recursive: true, force: true })
    })

    it('allows every system call that it makes', async () => {
      const counts = path.join(folder, 'calls')
      const environment = {
        DATABASE_URL: database.url,
        DATA_DIR: folder,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: `${testSecret}-portal`,
      }
      const gateway = startGatewayProcess(environment, [
        'strace',
        '-D',
        '-f',
        '-c',
        '-o',
        counts,
        process.execPath,
        'dist/main.js',
      ])
      const url = await gateway.url()
      const login = await fetch(`${url}/auth/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', username: 'alice', password: 'demo-password-1' }),
      })
      expect(login.status).toBe(200)
      gateway.child.kill('SIGTERM')
      expect(await gateway.ended).toBe(0)

      const expand = await groupsOfCalls()
      const filters = await settings('SystemCallFilter')
      const allowed = new Set(
        filters
          .filter((filter) => !filter.startsWith('~'))
          .flatMap((filter) => filter.split(' '))
          .flatMap(expand),
      )
      for (const call of filters
        .filter((filter) => filter.startsWith('~'))
        .flatMap((filter) => filter.slice(1).split(' '))
        .flatMap(expand))
        allowed.delete(call)
      const made = (await readFile(counts, 'utf8'))
        .split('\n')
        .flatMap((line) => /^\s*[\d.]+\s.*\s([a-z]\w+)$/.exec(line)?.[1] ?? [])
        .filter((name) => name !== 'total')
      expect(made.length).toBeGreaterThan(40)
      expect(allowed.size).toBeGreaterThan(300)
      expect(made.filter((name) => !allowed.has(name))).toEqual([])
    }, 120_000)
  })
})
