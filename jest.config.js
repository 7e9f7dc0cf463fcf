/** Tests that start nothing: no database, no server, no other program. ESLint keeps their imports to that. */
const unit = 'test/**/*.unit.test.ts'
/** Runs in virtual time. It starts nothing, but computes for half a minute. */
const simulation = 'test/coherence/simulation.test.ts'
/**
 * Folders whose tests need other programs (proxies, Redis, Chromium, Python, buildah, Go), install from the
 * registry or wait long. Each is a project with a script of its own in package.json, and `.ci/run` runs all.
 */
const suites = [
  'browser',
  'deploy',
  'docs',
  'helm',
  'image',
  'moving',
  'packages',
  'redis',
  'replication',
  'topology',
]
/** One real Postgres for all files of a run; each file clones a database of its own from a template. */
const cluster = {
  globalSetup: '<rootDir>/test/setup/start-cluster.js',
  globalTeardown: '<rootDir>/test/setup/stop-cluster.js',
}

/**
 * @param {string} displayName @param {string[]} globs from the root; `!` leaves out
 * @returns {import('jest').ProjectConfig}
 */
const project = (displayName, globs) => ({
  displayName,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: globs.map((glob) => (glob.startsWith('!') ? `!**/${glob.slice(1)}` : `<rootDir>/${glob}`)),
})

/** @type {import('jest').Config} */
export default {
  projects: [
    project('unit', [unit, ...suites.map((suite) => `!test/${suite}/**`)]),
    project('simulation', [simulation]),
    {
      ...project('integration', [
        'test/**/*.test.ts',
        ...[unit, simulation, ...suites.map((suite) => `test/${suite}/**`)].map((glob) => `!${glob}`),
      ]),
      ...cluster,
    },
    ...suites.map((suite) => ({ ...project(suite, [`test/${suite}/**/*.test.ts`]), ...cluster })),
  ],
  testTimeout: 30_000,
  // each file leaves some of its modules behind, and with a heap of a gigabyte all is slow
  workerIdleMemoryLimit: '500MB',
  maxWorkers: '100%', // Jest would leave one core alone, which of two is half
}
