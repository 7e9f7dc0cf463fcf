import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { initArguments, jsonOf, runCli } from '../support/cli.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../support/gateway-process.js'
import { startOnTerminal } from '../support/terminal.js'
import { until } from '../support/until.js'

const password = 'correct horse battery'
const shipped = path.resolve(import.meta.dirname, '../../routes.yaml')

interface Step {
  what: string
  name: string
  made: boolean
}
interface Made {
  steps: Step[]
  mandateId: string
  try: string[]
}

describe('mandate-gateway init, on a fresh data directory', () => {
  let folder = ''
  let routes = ''
  let service = ''
  let environment: Record<string, string> = {}
  let gateway: GatewayProcess
  let url = ''
  let made: Made
  beforeAll(async () => {
    folder = await makeDataDir()
    routes = path.join(folder, 'routes.yaml')
    await writeFile(routes, await readFile(shipped))
    const own = startGatewayProcess({}, [process.execPath, 'examples/own-service.js'])
    service = (await own.says(/listens on (http:\S+)/))[1] ?? ''
    environment = { DATA_DIR: path.join(folder, 'data'), GATEWAY_ROUTES: routes, SEED_DEMO: 'false' }
  })
  afterAll(async () => {
    await cleanUpProcesses()
    await rm(folder, { recursive: true, force: true })
  })

  const init = (args: string[], input = '') => runCli(initArguments(service, args), environment, input)
  const logIn = async (username: string) => {
    const answer = await fetch(`${url}/auth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ grant_type: 'password', username, password }),
    })
    return ((await answer.json()) as { access_token: string }).access_token
  }
  const ask = async (token: string, place: string, method = 'GET') =>
    fetch(url + place, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': made.mandateId },
    })

  it('says what is missing where nobody can be asked, and makes nothing', async () => {
    const lacking = await runCli(['init', '--mandate', 'Example Co', '--path', '/orders'], environment)
    expect(lacking).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        'Without a terminal nobody can be asked. Give --service, --user; ' +
        'mandate-gateway init --help shows an example.\n',
    })
    expect(await init([])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /Nothing was changed\. Without a terminal nobody can be asked: give --yes, or --dry-run/,
      ),
    })
    const wrong = await runCli(
      [
        'init',
        '--mandate',
        ' ',
        '--service',
        'http://127.0.0.1:9000/x',
        '--path',
        'orders',
        '--user',
        'Big Name',
        '--yes',
      ],
      environment,
    )
    expect(wrong.stderr).toMatch(
      /--mandate: must not be empty[^]*--service: must be an address[^]*--path: must be a path prefix[^]*--user: must/,
    )
    expect(await readFile(routes, 'utf8')).toBe(await readFile(shipped, 'utf8'))
  }, 60_000)

  it('says in a dry run what it would make, before there is a table, and makes nothing', async () => {
    const { steps } = jsonOf<Made>(await init(['--dry-run', '--json']))
    expect(steps.map(({ what, made: isNew }) => [what, isNew])).toEqual(
      ['mandate', 'feature', 'role', 'role', 'role', 'person', 'membership', 'route'].map((what) => [
        what,
        true,
      ]),
    )
    expect(await readFile(routes, 'utf8')).toBe(await readFile(shipped, 'utf8'))
    expect((await init(['--dry-run'])).stdout).toMatch(/^would make {2}mandate[^]*Nothing was changed\.\n$/)
  }, 60_000)

  it('makes mandate, feature, roles, person and route, keeps the file’s comments, stores no password', async () => {
    const outcome = await init(['--yes', '--json', '--password'], password)
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    made = jsonOf<Made>(outcome)
    expect(made.steps.every((step) => step.made)).toBe(true)
    expect(outcome.stdout).not.toContain(password)
    const [before, after] = [await readFile(shipped, 'utf8'), await readFile(routes, 'utf8')]
    const kept = after.split('\n')
    expect(before.split('\n').filter((line) => !kept.includes(line))).toEqual([])
    expect(after).toContain(`targets: [${service}]`)
  }, 60_000)

  it('a second time says that all of it exists, and changes nothing', async () => {
    const before = await readFile(routes, 'utf8')
    const again = jsonOf<Made>(await init(['--yes', '--json']))
    expect(again.steps.filter((step) => step.made)).toEqual([])
    expect(again.mandateId).toBe(made.mandateId)
    expect(await readFile(routes, 'utf8')).toBe(before)
    const other = await runCli(
      [
        'init',
        '--mandate',
        'Example Co',
        '--service',
        'http://127.0.0.1:1',
        '--path',
        '/orders',
        '--user',
        'maria',
        '--yes',
      ],
      environment,
    )
    expect(other).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /has a route for \/orders already, to the upstream orders\. Choose another path/,
      ),
    })
  }, 60_000)

  it('lets the person sign in and reach the service, which learns who calls; others are refused', async () => {
    gateway = startGatewayProcess({ ...environment, GATEWAY_ROUTES_WATCH: 'true' })
    url = await gateway.url()
    const maria = await logIn('maria')
    const reached = await ask(maria, '/orders/7')
    expect([reached.status, await reached.json()]).toEqual([
      200,
      { hello: 'maria', mandate: made.mandateId, level: 'a', path: '/orders/7' },
    ])
    expect((await runCli(['user', 'create', 'otto', '--password'], environment, password)).code).toBe(0)
    const otto = await ask(await logIn('otto'), '/orders/7')
    expect([otto.status, ((await otto.json()) as { code: string }).code]).toEqual([403, 'not_a_member'])
    expect((await ask(maria, '/mandate/members')).status).toBe(200)
  }, 60_000)

  it('adds another service and a read-only viewer to a running gateway, which takes the route by itself', async () => {
    const added = jsonOf<Made>(
      await runCli(
        [
          'init',
          '--mandate',
          'Example Co',
          '--service',
          service,
          '--path',
          '/invoices',
          '--user',
          'vera',
          '--role',
          'viewer',
          '--yes',
          '--json',
          '--password',
        ],
        environment,
        password,
      ),
    )
    expect(added.steps.filter((step) => step.made).map(({ what }) => what)).toEqual([
      'feature',
      'role',
      'role',
      'role',
      'person',
      'membership',
      'route',
    ])
    const vera = await logIn('vera')
    await until(async () => (await ask(vera, '/invoices/1')).status === 200 || undefined)
    expect((await ask(vera, '/invoices/1', 'POST')).status).toBe(403)
    expect((await ask(vera, '/mandate/members')).status).toBe(403)
    expect((await ask(await logIn('maria'), '/invoices/1', 'DELETE')).status).toBe(200)
  }, 60_000)

  it('is in the audit, as what the command line did', async () => {
    expect((await runCli(['admin', 'grant', 'platform', 'maria'], environment)).code).toBe(0)
    const { items } = (await (await ask(await logIn('maria'), '/admin/audit?limit=200')).json()) as {
      items: { action: string; mandateId: string; details: { via?: string } }[]
    }
    const ofCommandLine = items
      .filter(({ details }) => details.via === 'command line')
      .map(({ action }) => action)
    expect(new Set(ofCommandLine)).toEqual(
      new Set([
        'mandate_created',
        'feature_created',
        'role_created',
        'rule_created',
        'user_created',
        'member_added',
        'user_changed',
      ]),
    )
    expect(items.find(({ action }) => action === 'member_added')?.mandateId).toBe(made.mandateId)
  }, 60_000)

  it('asks on a terminal for what is missing, shows the plan, and prints a setup link and curl lines', async () => {
    const shell = startOnTerminal({ ...environment, PORT: '8080' }, [
      process.execPath,
      'dist/cli.js',
      'init',
      '--mandate',
      'Example Co',
      '--user',
      'nina',
    ])
    await shell.says(/Address of your service \[http:\/\/127\.0\.0\.1:9000\]: /)
    shell.type(service)
    await shell.says(/Path prefix that it is reached by: /)
    shell.type('/stock')
    await shell.says(/would make {2}person {6}nina[^]*Make this\? \[no\]: /)
    shell.type('yes')
    expect(await shell.ended).toBe(0)
    expect(shell.output()).toMatch(/ {2}http:\/\/127\.0\.0\.1:8080\/auth\/first-access\/[\w-]{43}/)
    expect(shell.output().match(/^ {2}curl -s /gm)).toHaveLength(3)
  }, 60_000)
})
