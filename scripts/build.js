/** Compiles src/ to dist/ file by file, here and in packages/, and the console to dist/web/. Types are checked by `npm run check:types`, so that a start need not wait for it. */
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole } from './build-console.js'
import { compile } from './compile.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** @param {string} folder @param {string} ending */
async function filesIn(folder, ending) {
  const entries = await readdir(folder, { recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.endsWith(ending))
}

/** Compiles the src/ of one folder, and removes what is left of files that are gone. @param {string} folder */
async function buildFolder(folder) {
  const sources = await filesIn(path.join(folder, 'src'), '.ts')
  await Promise.all(sources.map((file) => compile(folder, file)))
  const expected = new Set(sources.map((file) => file.replace(/\.ts$/, '.js')))
  const dist = path.join(folder, 'dist')
  const left = (await filesIn(dist, '.js')).filter((file) => !expected.has(file) && !file.startsWith('web'))
  const outputs = (/** @type {string} */ file) => [file, `${file}.map`, file.replace(/\.js$/, '.d.ts')]
  await Promise.all(left.flatMap(outputs).map((file) => rm(path.join(dist, file), { force: true })))
}

const packages = (await readdir(path.join(root, 'packages'))).map((name) => path.join(root, 'packages', name))
await Promise.all([root, ...packages].map(buildFolder))
await buildConsole()
