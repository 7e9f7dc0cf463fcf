import { jsonOf, runCli, type CliOutcome } from './cli.js'
import { testSecret, type TestGateway } from './gateway.js'
import { bearer, postJson, sendRequest } from './http-client.js'
import { mappingFile, type OldSide } from './old-side.js'

/** Ids of rows of the demo data. */
const demoIds = '00000000-0000-4000-8000-%'

/** Imports from an old side into a gateway, and looks at both. */
export interface Importer<Report> {
  /** Runs `mandate-gateway import` with these arguments, and with these variables beside the usual ones. */
  run: (args: string[], more?: Record<string, string>) => Promise<CliOutcome>
  /** Imports the example mapping and returns the report. */
  importExample: (...args: string[]) => Promise<Report>
  /** Runs SQL on the gateway's database. */
  sql: TestGateway['database']['sql']
  /** Runs SQL on the old side's database. */
  oldSql: TestGateway['database']['sql']
  /** Requests /auth/context with a token, in a mandate where one is given. */
  requestContext: (
    token: string,
    mandate?: string,
  ) => Promise<{ status: number; body: Record<string, unknown> }>
  /** Logs in with a password and returns the status. */
  logIn: (username: string, password: string) => Promise<number>
  /** Removes everything that was imported. */
  reset: () => Promise<void>
}

/** Makes an importer between the old side and the gateway that these functions return. */
export function importerOf<Report>(gateway: () => TestGateway, old: () => OldSide): Importer<Report> {
  const environment = () => ({
    DATABASE_URL: gateway().database.url,
    DATABASE_MIGRATION_URL: gateway().database.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
    OLD_DATABASE_URL: old().database.ownerUrl,
  })
  const run: Importer<Report>['run'] = (args, more = {}) =>
    runCli(['import', ...args], { ...environment(), ...more })
  return {
    run,
    importExample: async (...args) => jsonOf<Report>(await run([mappingFile, '--json', ...args])),
    sql: (statement, values) => gateway().database.sql(statement, values),
    oldSql: (statement, values) => old().database.sql(statement, values),
    requestContext: async (token, mandate) => {
      const { status, text } = await sendRequest(gateway().url, '/auth/context', {
        headers: { ...bearer(token), ...(mandate ? { 'X-Mandate-Id': mandate } : {}) },
      })
      return { status, body: JSON.parse(text) as Record<string, unknown> }
    },
    logIn: async (username, password) =>
      (await postJson(gateway().url, '/auth/login', { username, password })).status,
    reset: async () => {
      const { sql } = gateway().database
      await sql('delete from users where id::text not like $1', [demoIds])
      await sql('delete from mandates where id::text not like $1', [demoIds])
      await sql('truncate imported_rows')
    },
  }
}
