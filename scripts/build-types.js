/** Writes the type declarations of the gateway and of the packages that go with it to dist/. */
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { declareTypes } from './declare-types.js'

const root = fileURLToPath(new URL('..', import.meta.url))

for (const name of await readdir(path.join(root, 'packages')))
  declareTypes(name, path.join(root, 'dist/packages', name))
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.declarations.json')], {
  stdio: 'inherit',
})
