/** Compiles src/ to dist/ file by file, and the console to dist/web/. Types are checked by `npm run check:types`, so that a start need not wait for it. */
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformFile } from '@swc/core'
import { buildConsole } from './build-console.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** @param {string} folder @param {string} ending */
async function filesIn(folder, ending) {
  const entries = await readdir(path.join(root, folder), { recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.endsWith(ending))
}

/** A program that runs, or starts just now, must not find a file half written that has not changed at all. @param {string} file @param {string} text */
async function writeChanged(file, text) {
  if (await readFile(file, 'utf8').catch(() => undefined) !== text) await writeFile(file, text)
}

/** @param {string} file */
async function compile(file) {
  const target = path.join(root, 'dist', file.replace(/\.ts$/, '.js'))
  const { code, map } = await transformFile(path.join(root, 'src', file), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'es6' },
    sourceMaps: true,
    sourceFileName: path.relative(path.dirname(target), path.join(root, 'src', file)),
  })
  await mkdir(path.dirname(target), { recursive: true })
  await writeChanged(target, `${code}\n//# sourceMappingURL=${path.basename(target)}.map\n`)
  await writeChanged(`${target}.map`, map ?? '')
  if (code.startsWith('#!')) await chmod(target, 0o755)
}

const sources = await filesIn('src', '.ts')
await Promise.all(sources.map(compile))
const expected = new Set(sources.map((file) => file.replace(/\.ts$/, '.js')))
const left = (await filesIn('dist', '.js')).filter((file) => !expected.has(file) && !file.startsWith('web'))
await Promise.all(left.flatMap((file) => [file, `${file}.map`].map((one) => rm(path.join(root, 'dist', one), { force: true }))))
await buildConsole()
