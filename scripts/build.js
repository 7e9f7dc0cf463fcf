/**
 * Compiles src/ to dist/ and the packages to dist/packages/, and builds the console into dist/web/. Types are
 * checked by `npm run check:types`, so that a start need not wait for it.
 */
import './node-version.js'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole } from './build-console.js'
import { compileFolder } from './compile.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const packages = await readdir(path.join(root, 'packages'))

await Promise.all([
  compileFolder(path.join(root, 'src'), dist, ['web', 'packages']),
  ...packages.map((name) =>
    compileFolder(path.join(root, 'packages', name, 'src'), path.join(dist, 'packages', name)),
  ),
])
await buildConsole()
