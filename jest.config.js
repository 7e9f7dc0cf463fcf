/**
 * Folders whose tests need other programs (proxies, Redis, Chromium, Python, buildah, Go), install from the
 * registry or wait long. Each has a script of its own in package.json, and `.ci/run` runs all of them.
 */
const apart = [
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

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: ['<rootDir>/test/**/*.test.ts', ...apart.map((folder) => `!**/test/${folder}/**`)],
  globalSetup: './test/setup/start-cluster.js',
  globalTeardown: './test/setup/stop-cluster.js',
  testTimeout: 30_000,
  // each file leaves some of its modules behind, and with a heap of a gigabyte all is slow
  workerIdleMemoryLimit: '500MB',
  maxWorkers: '100%', // Jest would leave one core alone, which of two is half
}
