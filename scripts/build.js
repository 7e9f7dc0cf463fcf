/** Compiles src/ to dist/ file by file, and the console to dist/web/. Types are checked by `npm run check:types`, so that a start need not wait for it. */
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole } from './build-console.js'
import { compile } from './compile.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** @param {string} folder @param {string} ending */
async function filesIn(folder, ending) {
  const entries = await readdir(path.join(root, folder), { recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.endsWith(ending))
}

const sources = await filesIn('src', '.ts')
await Promise.all(sources.map((file) => compile(root, file)))
const expected = new Set(sources.map((file) => file.replace(/\.ts$/, '.js')))
const left = (await filesIn('dist', '.js')).filter((file) => !expected.has(file) && !file.startsWith('web'))
await Promise.all(left.flatMap((file) => [file, `${file}.map`].map((one) => rm(path.join(root, 'dist', one), { force: true }))))
await buildConsole()
