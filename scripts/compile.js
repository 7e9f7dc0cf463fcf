import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { transformFile } from '@swc/core'

/** A program that runs, or starts just now, must not find a file half written that has not changed at all. @param {string} file @param {string} text */
async function writeChanged(file, text) {
  if (await readFile(file, 'utf8').catch(() => undefined) !== text) await writeFile(file, text)
}

/** Compiles one file of a folder's src/ to its dist/. @param {string} root the project's folder, or one of packages/ @param {string} file below src/ */
export async function compile(root, file) {
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
