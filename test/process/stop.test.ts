import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request, type ClientRequest } from 'node:http'
import path from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { startOnTerminal } from '../support/terminal.js'
import { until } from '../support/until.js'

afterEach(cleanUpProcesses)

const pidOf = async (dataDir: string) =>
  Number.parseInt(await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8'), 10)

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Returns a request whose body never ends, once the server has taken its headers (100 Continue says so). */
async function openRequest(url: string): Promise<ClientRequest> {
  const headers = {
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
    Expect: '100-continue',
  }
  const open = request(url, { method: 'POST', headers })
  open.on('error', () => open.destroy())
  open.flushHeaders()
  await once(open, 'continue')
  return open
}

const listening = /"message":"listening".*?"url":"([^"]+)"/

describe('a gateway that was started on a terminal', () => {
  it.each(['npm start', 'node dist/main.js'])(
    '%s ends at Ctrl-C, and so does its Postgres',
    async (command) => {
      const dataDir = await makeDataDir()
      const started = startOnTerminal({ DATA_DIR: dataDir }, command.split(' '))
      await started.says(listening)
      const postgres = await pidOf(dataDir)
      started.interrupt()
      await started.ended
      await until(() => Promise.resolve(!isAlive(postgres)), 10_000)
      expect(started.output()).toContain('"message":"stopped"')
    },
    60_000,
  )

  it('ends at a second Ctrl-C without waiting, and so does its Postgres', async () => {
    const dataDir = await makeDataDir()
    const started = startOnTerminal({ DATA_DIR: dataDir }, ['node', 'dist/main.js'])
    const [, url = ''] = await started.says(listening)
    const postgres = await pidOf(dataDir)
    const open = await openRequest(`${url}/auth/login`)
    started.interrupt()
    await started.says(/"message":"draining"/)
    const draining = performance.now()
    // a signal within a second counts as the same
    await until(() => Promise.resolve(performance.now() - draining > 1200))
    started.interrupt()
    expect(await started.ended).toBe(130)
    await until(() => Promise.resolve(!isAlive(postgres)), 10_000)
    open.destroy()
  }, 60_000)

  it('ends when its terminal is closed, and so does its Postgres', async () => {
    const dataDir = await makeDataDir()
    const started = startOnTerminal({ DATA_DIR: dataDir }, ['npm', 'start'])
    const [, url = ''] = await started.says(listening)
    const postgres = await pidOf(dataDir)
    started.close()
    await until(() => Promise.resolve(!isAlive(postgres)), 20_000)
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
  }, 60_000)
})

describe('a data directory that a gateway holds', () => {
  it('is refused to another one, by the process id of the first', async () => {
    const dataDir = await makeDataDir()
    const first = startGatewayProcess({ DATA_DIR: dataDir })
    await first.url()
    const second = startGatewayProcess({ DATA_DIR: dataDir })
    expect(await second.ended).toBe(1)
    expect(second.errors()).toMatch(
      new RegExp(
        `another gateway already runs on the data directory ${dataDir}: .* ` +
          `Its process id is ${first.child.pid ?? 0}\\.`,
      ),
    )
  }, 60_000)
})
