import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'

describe('a gateway that has the login of requests and not the owner’s', () => {
  let database: TestDatabase
  let secrets: Record<string, string>
  beforeAll(async () => {
    database = await createTestDatabase('template_empty')
    secrets = {
      DATABASE_URL: database.url,
      DATA_DIR: await makeDataDir(),
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: `${testSecret}-portal`,
    }
  })
  afterEach(cleanUpProcesses)
  afterAll(() => database.drop())

  it('says on a database that lacks migrations which, and what to run as the owner', async () => {
    const gateway = startGatewayProcess(secrets)
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(
      /^mandate-gateway cannot start\. The database lacks \d+ migrations, the first of them \d{8}_01_\w+, and [^\n]*DATABASE_MIGRATION_URL\.\n$/,
    )
  }, 60_000)

  it('serves a database that the owner has migrated, and can do nothing as the owner', async () => {
    expect(
      await runCli(['migrate'], { ...secrets, DATABASE_MIGRATION_URL: database.ownerUrl }),
    ).toMatchObject({ code: 0 })
    const gateway = startGatewayProcess(secrets)
    expect((await fetch(`${await gateway.url()}/readyz`)).status).toBe(200)
    await gateway.says(/auth\/setup\//)
    const { stdout } = await runCli(['doctor'], secrets)
    expect(stdout).toMatch(/all are applied/)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
  }, 60_000)
})
