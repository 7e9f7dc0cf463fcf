/**
 * Compiles one of packages/ to its own dist/, with type declarations, before it is packed: `node
 * scripts/build-package.js NAME`.
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileFolder } from './compile.js'
import { declareTypes } from './declare-types.js'

const [, , name = ''] = process.argv
const folder = fileURLToPath(new URL(`../packages/${name}`, import.meta.url))

await compileFolder(path.join(folder, 'src'), path.join(folder, 'dist'))
declareTypes(name, path.join(folder, 'dist'))
