import { execFile } from 'node:child_process'
import { cp, mkdtemp, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

/** What the gateway needs to run, from the root, beside the packages of npm. */
export const programParts = [
  'dist',
  'locales',
  'migrations',
  'seeds',
  'examples',
  'package.json',
  'routes.yaml',
  'openapi.yaml',
]

const root = path.resolve(import.meta.dirname, '../..')

/**
 * Makes a folder like a fresh clone after `npm ci`: the files that git knows, what was built of them, and the
 * packages. Returns its path.
 */
export async function copyProject(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-clone-'))
  await promisify(execFile)('sh', ['-c', 'git ls-files -z | xargs -0 cp --parents -t "$1"', 'sh', folder], {
    cwd: root,
  })
  for (const built of ['dist', 'console/api/schema.d.ts']) {
    await cp(path.join(root, built), path.join(folder, built), { recursive: true })
  }
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  return folder
}
