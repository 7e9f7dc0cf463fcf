import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { transformFile } from '@swc/core'

/**
 * A program that runs, or starts just now, must not find a file half written that has not changed at all.
 * @param {string} file @param {string} text
 */
async function writeChanged(file, text) {
  if ((await readFile(file, 'utf8').catch(() => undefined)) !== text) await writeFile(file, text)
}

/**
 * Compiles one file.
 * @param {string} from the folder of the sources @param {string} to the folder of what is compiled @param
 * {string} file below `from`
 */
export async function compile(from, to, file) {
  const target = path.join(to, file.replace(/\.ts$/, '.js'))
  const { code, map } = await transformFile(path.join(from, file), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'es6' },
    sourceMaps: true,
    sourceFileName: path.relative(path.dirname(target), path.join(from, file)),
  })
  await mkdir(path.dirname(target), { recursive: true })
  await writeChanged(target, `${code}\n//# sourceMappingURL=${path.basename(target)}.map\n`)
  await writeChanged(`${target}.map`, map ?? '')
  // only its owner may
  if (code.startsWith('#!') && ((await stat(target)).mode & 0o111) === 0) await chmod(target, 0o755)
}

/** @param {string} folder @param {string} ending */
async function filesIn(folder, ending) {
  const entries = await readdir(folder, { recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.endsWith(ending))
}

/**
 * Compiles a folder of sources, and removes what is left of sources that are gone.
 * @param {string} from @param {string} to @param {string[]} spared folders of `to` that hold something else
 */
export async function compileFolder(from, to, spared = []) {
  const sources = await filesIn(from, '.ts')
  await Promise.all(sources.map((file) => compile(from, to, file)))
  const expected = new Set(sources.map((file) => file.replace(/\.ts$/, '.js')))
  const left = (await filesIn(to, '.js')).filter(
    (file) => !expected.has(file) && !spared.includes(file.split(path.sep)[0] ?? ''),
  )
  const outputs = (/** @type {string} */ file) => [file, `${file}.map`, file.replace(/\.js$/, '.d.ts')]
  await Promise.all(left.flatMap(outputs).map((file) => rm(path.join(to, file), { force: true })))
}
