/** Writes the type declarations of packages/ to each one's dist/: `node scripts/package-types.js [NAME …]`, all of them without a name. */
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const names = process.argv.length > 2 ? process.argv.slice(2) : await readdir(path.join(root, 'packages'))

for (const name of names) {
  const folder = path.join(root, 'packages', name)
  execFileSync(process.execPath, [
    path.join(root, 'node_modules/typescript/bin/tsc'), '-p', folder,
    '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--incremental', 'false', '--tsBuildInfoFile', 'null',
    '--rewriteRelativeImportExtensions', 'false', '--rootDir', path.join(folder, 'src'), '--outDir', path.join(folder, 'dist'),
  ], { stdio: 'inherit' })
}
