import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, it } from '@jest/globals'
import { mandates } from './support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from './support/gateway-process.js'
import { programParts } from './support/project-copy.js'

const root = path.resolve(import.meta.dirname, '..')
afterEach(cleanUpProcesses)

it('a gateway that runs goes on while npm ci has taken its packages away', async () => {
  const clone = await makeDataDir()
  const run = promisify(execFile)
  await run('cp', ['-al', path.join(root, 'node_modules'), clone]).catch(() =>
    run('cp', ['-a', path.join(root, 'node_modules'), clone]),
  )
  await run('cp', ['-a', ...['packages', ...programParts].map((name) => path.join(root, name)), clone])
  const gateway = startGatewayProcess(
    { DATA_DIR: path.join(clone, '.data'), GATEWAY_ROUTES: path.join(clone, 'routes.yaml') },
    [process.execPath, path.join(clone, 'dist/main.js')],
  )
  const url = await gateway.url()
  await rm(path.join(clone, 'node_modules'), { recursive: true })

  const login = await fetch(`${url}/auth/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"grant_type":"password","username":"alice","password":"demo-password-1"}',
  })
  expect(login.status).toBe(200)
  const headers = {
    Authorization: `Bearer ${((await login.json()) as { access_token: string }).access_token}`,
    'X-Mandate-Id': mandates.acme,
  }
  for (const place of [
    '/auth/me',
    '/api/crm/contacts',
    '/auth/context',
    '/mandate/members',
    '/console',
    '/docs',
    '/readyz',
    '/metrics',
  ]) {
    expect([place, (await fetch(`${url}${place}`, { headers })).status]).toEqual([place, 200])
  }
  gateway.child.kill('SIGTERM')
  expect(await gateway.ended).toBe(0)
}, 120_000)
