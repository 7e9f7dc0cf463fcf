import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  asOtherUser,
  defaultStrategies,
  type ExistingCluster,
  type RunStrategy,
} from '../../../packages/embedded-postgres/src/strategies.js'
import {
  cleanUp,
  copyForAnyUser,
  endOf,
  keepForLater,
  killServer,
  makeDirectory,
  makeHomeOf,
  postmasterPid,
  query,
  spawnGateway,
  spawnProgram,
  start,
} from './helpers.js'

const isRoot = process.getuid?.() === 0
const asRoot = isRoot ? it : it.skip
const ordinary = 65_534

/** A cluster made once and stopped, for the tests that need no new one: initdb is most of a start. */
let usedBefore = ''
let removeUsed = cleanUp
beforeAll(async () => {
  usedBefore = await dataBelow(makeDirectory())
  await (await start(usedBefore)).stop()
  removeUsed = keepForLater()
})
afterAll(() => removeUsed())

async function dataBelow(parent: Promise<string>): Promise<string> {
  return path.join(await parent, 'data')
}

/** Asks until the server answers again. */
async function eventually(url: string, sql: string): Promise<Record<string, unknown>[]> {
  for (const deadline = Date.now() + 15_000; ;) {
    try {
      return await query(url, sql)
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(20)
    }
  }
}

async function mode(file: string): Promise<string> {
  return ((await stat(file)).mode & 0o777).toString(8)
}

describe('a start', () => {
  afterEach(cleanUp)

  it('makes a database, and the next one finds it as it was, under the same passwords', async () => {
    const dataDir = await dataBelow(makeDirectory())
    const first = await start(dataDir, { durable: true })
    await query(first.ownerUrl, 'create table kept as select 42 as answer')
    await first.stop()
    await expect(query(first.url, 'select 1')).rejects.toThrow('ECONNREFUSED')

    const second = await start(dataDir, { durable: true })
    expect(await query(second.ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(new URL(second.url).password).toBe(new URL(first.url).password)
  })

  it('clears away what a start killed during initdb left, and nothing of one still at work', async () => {
    const dataDir = await dataBelow(makeDirectory())
    const dead = spawnProgram('true', [])
    await endOf(dead, 'SIGTERM')
    const atWork = spawnProgram('sleep', ['60'])
    const [left, busy] = [dead, atWork].map(({ pid }) => path.join(dataDir, `.initdb-${pid}-0badcafe`))
    for (const half of [left, busy]) {
      await mkdir(`${half}/postgres/base`, { recursive: true })
      await writeFile(`${half}/postgres/PG_VERSION`, '18\n')
    }
    const { url } = await start(dataDir)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect([left, busy].map((half) => existsSync(String(half)))).toEqual([false, true])
  })
})

describe('a new database', () => {
  let dataDir = ''
  let [url, ownerUrl] = ['', '']
  beforeAll(async () => {
    dataDir = await dataBelow(makeDirectory())
    ;({ url, ownerUrl } = await start(dataDir))
  })
  afterAll(cleanUp)

  it('keeps everything from other users of the machine', async () => {
    expect(
      await Promise.all(
        ['', 'postgres', 'postgres.log', 'postgres-passwords.json'].map((name) =>
          mode(path.join(dataDir, name)),
        ),
      ),
    ).toEqual(['700', '700', '600', '600'])
    expect(new URL(url).hostname).toBe('127.0.0.1')
    expect(
      await query(
        ownerUrl,
        "select current_setting('listen_addresses') as tcp, current_setting('unix_socket_directories') as unix",
      ),
    ).toEqual([{ tcp: '127.0.0.1', unix: '' }])
    const log = await readFile(path.join(dataDir, 'postgres.log'), 'utf8')
    expect([url, ownerUrl].filter((each) => log.includes(new URL(each).password))).toEqual([])
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres-passwords.json', 'postgres.log'])
  })

  it('refuses a wrong password, and the right one over anything but SCRAM', async () => {
    const wrong = new URL(ownerUrl)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'select 1')).rejects.toThrow('password authentication failed')
    expect(await query(ownerUrl, 'select distinct auth_method from pg_hba_file_rules')).toEqual([
      { auth_method: 'scram-sha-256' },
    ])
  })

  it('gives the gateway a login with the rights of gateway_app and none of its own', async () => {
    expect(
      await query(
        url,
        `
      select rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole
      from pg_roles where rolname in (current_user, 'gateway_app') order by rolname`,
      ),
    ).toEqual([
      {
        rolname: 'gateway',
        rolcanlogin: true,
        rolsuper: false,
        rolbypassrls: false,
        rolcreatedb: false,
        rolcreaterole: false,
      },
      {
        rolname: 'gateway_app',
        rolcanlogin: false,
        rolsuper: false,
        rolbypassrls: false,
        rolcreatedb: false,
        rolcreaterole: false,
      },
    ])
    expect(
      await query(
        url,
        "select roleid::regrole::text as role from pg_auth_members where member = 'gateway'::regrole",
      ),
    ).toEqual([{ role: 'gateway_app' }])
    expect(
      await query(
        ownerUrl,
        "select * from pg_shdepend where refobjid = 'gateway'::regrole and deptype = 'o'",
      ),
    ).toEqual([])
    expect(
      await query(
        ownerUrl,
        "select pg_get_userbyid(datdba) as owner from pg_database where datname = 'gateway'",
      ),
    ).toEqual([{ owner: 'postgres' }])
    await expect(query(url, 'create table mine ()')).rejects.toThrow('permission denied')
  })
})

describe('a server left by a killed gateway', () => {
  afterEach(cleanUp)

  it('is taken over by the next one, with its clients', async () => {
    const dataDir = usedBefore
    const { child, outcome } = await spawnGateway(dataDir)
    await query(String(outcome.ownerUrl), 'create table taken_over as select 42 as answer')
    const pid = await postmasterPid(dataDir)
    await endOf(child, 'SIGKILL')

    const next = await start(dataDir)
    expect(next.url).toBe(outcome.url)
    expect(await postmasterPid(dataDir)).toBe(pid)
    expect(await query(next.ownerUrl, 'select answer from taken_over')).toEqual([{ answer: 42 }])
    await next.stop()
    expect(existsSync(path.join(dataDir, 'postgres/postmaster.pid'))).toBe(false)
  })

  it('is started anew when it ran with less safety than asked for now', async () => {
    const dataDir = usedBefore
    const { child } = await spawnGateway(dataDir)
    await endOf(child, 'SIGKILL')
    const { ownerUrl } = await start(dataDir, { durable: true })
    expect(await query(ownerUrl, 'show fsync')).toEqual([{ fsync: 'on' }])
  })

  it('is not mistaken for a stranger that has its pid now', async () => {
    const dataDir = usedBefore
    const first = await start(dataDir, { durable: true })
    const pidFile = path.join(dataDir, 'postgres/postmaster.pid')
    const text = await readFile(pidFile, 'utf8')
    await first.stop()
    const stranger = spawnProgram('sleep', ['60'])
    for (const pid of [stranger.pid, process.pid]) {
      await writeFile(pidFile, text.replace(/^\d+/, String(pid)), { mode: 0o600 })
      const next = await start(dataDir, { durable: true })
      expect(await query(next.url, 'select 1 as one')).toEqual([{ one: 1 }])
      await next.stop()
    }
    expect(stranger.signalCode).toBeNull()
  })
})

describe('two gateways on one directory', () => {
  afterEach(cleanUp)

  const refusal =
    /another gateway already runs on the data directory .*data: stop it, or .*DATA_DIR.*DATABASE_URL/

  it('started at once on an empty one: one wins, the other is told so, and the winner works on', async () => {
    const dataDir = await dataBelow(makeDirectory())
    const both = await Promise.all([spawnGateway(dataDir), spawnGateway(dataDir)])
    const winners = both.filter(({ outcome }) => outcome.url !== undefined)
    const losers = both.filter(({ outcome }) => outcome.refused !== undefined)
    expect([winners.length, losers.length]).toEqual([1, 1])
    expect(losers[0]?.outcome.refused).toMatch(refusal)
    expect(losers[0]?.outcome.refused).toContain(dataDir)
    expect(await query(String(winners[0]?.outcome.url), 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres-passwords.json', 'postgres.log'])
  })

  it('started at once on a stopped one: the same', async () => {
    const dataDir = usedBefore
    const both = await Promise.allSettled([start(dataDir), start(dataDir)])
    const [winner] = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const [reason] = both.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
    expect(reason).toMatch(refusal)
    expect(await query(String(winner?.url), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('one after the other: the second gets the directory as soon as the first has stopped', async () => {
    const dataDir = usedBefore
    const first = await start(dataDir)
    const [, second] = await Promise.all([first.stop(), start(dataDir)])
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('a running server', () => {
  afterEach(cleanUp)

  it('killed, comes back on the same port with what was committed', async () => {
    const dataDir = usedBefore
    const postgres = await start(dataDir, { durable: true })
    await query(postgres.ownerUrl, 'create table committed as select 42 as answer')
    const pid = await postmasterPid(dataDir)
    await killServer(dataDir)
    expect(await eventually(postgres.ownerUrl, 'select answer from committed')).toEqual([{ answer: 42 }])
    expect(await postmasterPid(dataDir)).not.toBe(pid)
    expect(postgres.logged.join('\n')).toContain('embedded Postgres closed the lock connection')
  })

  it('stops for good even while it is coming back', async () => {
    const dataDir = usedBefore
    const postgres = await start(dataDir, { durable: true })
    await killServer(dataDir)
    await sleep(80)
    await postgres.stop()
    await sleep(300)
    await expect(query(postgres.url, 'select 1')).rejects.toThrow('ECONNREFUSED')
  })

  it('keeps others out of its directory even after its lock connection broke', async () => {
    const dataDir = usedBefore
    const postgres = await start(dataDir)
    const locks = "select pid from pg_locks where locktype = 'advisory' and granted"
    const [before] = await query(postgres.ownerUrl, locks)
    await query(postgres.ownerUrl, `select pg_terminate_backend(${String(before?.pid)})`)
    for (let rows = [before]; rows[0] === undefined || rows[0].pid === before?.pid;)
      rows = await query(postgres.ownerUrl, locks)
    await expect(start(dataDir)).rejects.toThrow('another gateway already runs')
  })
})

describe('the user it runs as', () => {
  afterEach(cleanUp)

  const broken: RunStrategy = {
    name: 'in a broken namespace',
    owner: process.getuid?.() ?? 0,
    prefix: ['false'],
    credentials: {},
  }

  /** The default order, but never a copy left outside the temporary directories. */
  function defaults(existing: ExistingCluster, refuge: string): RunStrategy[] {
    return defaultStrategies(existing).map((each) => (each.refuge === undefined ? each : { ...each, refuge }))
  }

  it('may be root, in a directory below one that only root may enter', async () => {
    const { url } = await start(await dataBelow(makeDirectory(0o700)))
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  asRoot('is another one where root cannot have a namespace, with the data in place', async () => {
    const [dataDir, refuge] = [await dataBelow(makeDirectory()), await dataBelow(makeDirectory())]
    const strategies = [broken, asOtherUser(ordinary, refuge)]
    const first = await start(dataDir, { strategies })
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await stat(path.join(dataDir, 'postgres'))).uid).toBe(ordinary)
    await first.stop()

    // By default root's namespace comes first, but this cluster is not root's.
    const next = await start(dataDir, {
      strategies: defaults({ directory: dataDir, owner: ordinary }, refuge),
    })
    expect(await query(next.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  asRoot(
    'is another one, with programs and data elsewhere if it cannot reach them, and finds them again',
    async () => {
      const [dataDir, refuge] = [await dataBelow(makeDirectory(0o700)), await dataBelow(makeDirectory())]
      const strategies = [asOtherUser(ordinary, refuge)]
      const first = await start(dataDir, { strategies })
      await query(first.ownerUrl, 'create table kept as select 42 as answer')
      expect(await realpath(path.join(dataDir, 'postgres'))).toContain(refuge)
      await first.stop()
      const next = await start(dataDir, { strategies })
      expect(await query(next.ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
      await next.stop()
    },
  )

  it('is told what was tried and what to do when nothing works', async () => {
    await expect(start(await dataBelow(makeDirectory()), { strategies: [broken] })).rejects.toThrow(
      /Tried:\n {2}in a broken namespace: .*\n.*ordinary user.*DATABASE_URL/,
    )
  })

  asRoot('is the gateway’s own when that is an ordinary one', async () => {
    const [place, home] = [await copyForAnyUser(ordinary), await makeHomeOf(ordinary)]
    const dataDir = path.join(home, 'data')
    const { child, outcome } = await spawnGateway(dataDir, { ...place, uid: ordinary, gid: ordinary })
    expect(outcome).toMatchObject({ user: String(ordinary) })
    expect(await query(String(outcome.url), 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await stat(path.join(dataDir, 'postgres'))).uid).toBe(ordinary)
    await endOf(child, 'SIGTERM')
    expect(existsSync(path.join(dataDir, 'postgres/postmaster.pid'))).toBe(false)

    // Root may look after it, as that user.
    const strategies = defaults({ directory: dataDir, owner: ordinary }, path.join(place.from, 'refuge'))
    const { ownerUrl } = await start(dataDir, { strategies })
    expect(await query(ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})
