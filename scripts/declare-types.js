import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Writes the type declarations of one of packages/. @param {string} name @param {string} outDir */
export function declareTypes(name, outDir) {
  const folder = path.join(root, 'packages', name)
  execFileSync(
    process.execPath,
    [
      path.join(root, 'node_modules/typescript/bin/tsc'),
      '-p',
      folder,
      '--noEmit',
      'false',
      '--declaration',
      '--emitDeclarationOnly',
      '--incremental',
      'false',
      '--tsBuildInfoFile',
      'null',
      '--rewriteRelativeImportExtensions',
      'false',
      '--rootDir',
      path.join(folder, 'src'),
      '--outDir',
      outDir,
    ],
    { stdio: 'inherit' },
  )
}
