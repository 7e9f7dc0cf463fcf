import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { until } from '../support/until.js'
import { allFences, type Fence } from '../support/fences.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'

const acme = '00000000-0000-4000-8000-000000000101'
const run = promisify(execFile)
const fences = (await allFences()).filter(({ file }) => file === 'docs/upstreams.md')
const sample = (language: string): Fence => {
  const [found] = fences.filter((fence) => fence.language === language)
  if (!found) throw new Error(`docs/upstreams.md has no sample in ${language}`)
  return found
}

describe('the samples of docs/upstreams.md', () => {
  let folder = ''
  let url = ''
  let token = ''
  const port = 20_000 + (process.pid % 10_000)
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-samples-'))
    const routes = path.join(folder, 'routes.yaml')
    await writeFile(
      routes,
      JSON.stringify({
        upstreams: { crm: { targets: [`http://127.0.0.1:${port}`] } },
        routes: {
          '/api/crm': {
            upstream: 'crm',
            mandate: 'required',
            permission: { context: 'RESOURCE', item: 'crm' },
          },
        },
      }),
    )
    const gateway = startGatewayProcess({ DATA_DIR: await makeDataDir(), GATEWAY_ROUTES: routes })
    url = await gateway.url()
    const response = await fetch(`${url}/auth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password', username: 'alice', password: 'demo-password-1' }),
    })
    token = ((await response.json()) as { access_token: string }).access_token
  }, 60_000)
  afterAll(async () => {
    await cleanUpProcesses()
    await rm(folder, { recursive: true, force: true })
  })

  /**
   * Runs a service until it has answered through the gateway, and then once past it with an identity of its
   * own making.
   */
  async function whoami(command: string, args: string[], cwd: string) {
    const env = { PATH: process.env.PATH ?? '', HOME: folder, GATEWAY_URL: url, PORT: String(port) }
    const service = spawn(command, args, { cwd, stdio: 'inherit', env })
    const ended = once(service, 'close')
    try {
      const through = await until(async () => {
        const response = await fetch(`${url}/api/crm/whoami`, {
          headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': acme },
        })
        return response.ok && (await response.json())
      }, 30_000)
      const past = await fetch(`http://127.0.0.1:${port}/api/crm/whoami`, {
        headers: { 'X-Gateway-Identity': 'e30.e30.AAAA', 'X-User-Id': 'root' },
      })
      return { through, past: past.status }
    } finally {
      service.kill('SIGKILL')
      await ended
    }
  }

  const expected = { through: { username: 'alice', mandateId: acme, accessLevel: 'a' }, past: 401 }

  it('in Python tells a FastAPI service the caller, and refuses an identity the gateway did not sign', async () => {
    await run('python3', ['-m', 'venv', folder])
    await run(
      path.join(folder, 'bin/pip'),
      ['install', '--quiet', 'PyJWT[crypto]>=2.15', 'fastapi', 'uvicorn'],
      { timeout: 120_000 },
    )
    await writeFile(path.join(folder, 'crm.py'), sample('python').text)
    expect(
      await whoami(path.join(folder, 'bin/uvicorn'), ['crm:app', '--port', String(port)], folder),
    ).toEqual(expected)
  }, 180_000)

  it('in Go tells a service who is calling, and refuses an identity that the gateway did not sign', async () => {
    const home = path.join(folder, 'go-service')
    await mkdir(home)
    await writeFile(path.join(home, 'main.go'), sample('go').text)
    const env = { ...process.env, HOME: folder, GOFLAGS: '-mod=mod' }
    const modules = [
      'github.com/MicahParks/keyfunc/v3@v3.9.1',
      'github.com/golang-jwt/jwt/v5@v5.3.1',
      'golang.org/x/time@v0.15.0',
    ]
    await run('go', ['mod', 'init', 'example.com/crm'], { cwd: home, env })
    await run('go', ['get', ...modules], { cwd: home, env, timeout: 120_000 })
    await run('go', ['build', '-o', 'service', '.'], { cwd: home, env, timeout: 240_000 })
    expect(await whoami(path.join(home, 'service'), [], home)).toEqual(expected)
  }, 420_000)
})
