/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } }],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: ['<rootDir>/test/**/*.test.ts', '!**/test/deploy/**', '!**/test/redis/**', '!**/test/browser/**', '!**/test/topology/**', '!**/test/docs/**', '!**/test/packages/**', '!**/test/moving/**', '!**/test/image/**', '!**/test/helm/**'], // those want nginx and haproxy, redis-server, Chromium or Python: npm run test:proxies, test:redis, test:moving, test:browser, test:topology; docs and packages install from the registry; image wants buildah and podman, helm wants Go: npm run test:image, test:helm
  globalSetup: './test/setup/start-cluster.js',
  globalTeardown: './test/setup/stop-cluster.js',
  testTimeout: 30_000,
  workerIdleMemoryLimit: '500MB', // each file leaves some of its modules behind, and with a heap of a gigabyte all is slow
  maxWorkers: '100%', // Jest would leave one core alone, which of two is half
}
