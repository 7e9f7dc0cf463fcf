import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { freePort } from '../support/proxy-process.js'

let database: TestDatabase | undefined
const servers: net.Server[] = []
afterEach(async () => {
  await cleanUpProcesses()
  for (const server of servers.splice(0)) server.close()
  await database?.drop()
  database = undefined
})

const at = (url: string, port: number) => Object.assign(new URL(url), { port: String(port) }).href

/** Lets connections to `port` through to the database, from now on. */
async function openTheWay(url: string, port: number): Promise<void> {
  const { port: to, hostname } = new URL(url)
  const server = net.createServer((client) => {
    const onward = net.connect(Number(to), hostname)
    for (const socket of [client, onward]) socket.on('error', () => undefined)
    client.pipe(onward).pipe(client)
    client.on('close', () => onward.destroy())
    onward.on('close', () => client.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
}

describe('a start before the database is there', () => {
  it('waits for it, says what it waits for, and serves when it has come', async () => {
    database = await createTestDatabase()
    const port = await freePort()
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: at(database.url, port),
      DATABASE_MIGRATION_URL: at(database.ownerUrl, port),
      APP_JWT_KEY_SECRET: testSecret,
    })
    await gateway.says(
      new RegExp(`"code":"ECONNREFUSED".*"host":"127.0.0.1:${port}".*"message":"waiting for the database"`),
    )
    await openTheWay(database.url, port)
    expect((await fetch(`${await gateway.url()}/readyz`)).status).toBe(200)
    expect(gateway.output()).toContain('the database is there')
  }, 60_000)

  it('is given up after DATABASE_WAIT_SECONDS, with what to do', async () => {
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: 'postgres://gateway:very-secret@127.0.0.1:1/gateway',
      DATABASE_WAIT_SECONDS: '1',
    })
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(/127\.0\.0\.1:1 is not there \(ECONNREFUSED\).*mend DATABASE_URL/)
    expect(gateway.errors() + gateway.output()).not.toContain('very-secret')
  }, 60_000)

  it('is given up at once where waiting would not help', async () => {
    database = await createTestDatabase()
    const wrong = Object.assign(new URL(database.url), { pathname: '/there_is_no_such_database' }).href
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: wrong,
      DATABASE_WAIT_SECONDS: '3600',
    })
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toContain('does not exist')
  }, 60_000)

  it('ends with 0 at SIGTERM while it waits', async () => {
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      DATABASE_URL: 'postgres://gateway@127.0.0.1:1/gateway',
      DATABASE_WAIT_SECONDS: '3600',
    })
    await gateway.says(/waiting for the database/)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
  }, 60_000)
})
