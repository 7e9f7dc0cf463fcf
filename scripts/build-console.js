/**
 * Builds the pages of console/ to dist/web/, and the types of the API that they are written against. Does
 * nothing where nothing has changed.
 */
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
const web = path.join(root, 'dist/web')
const schema = path.join(root, 'console/api/schema.d.ts')

/** @param {string[]} files relative to the root */
async function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(await readFile(path.join(root, file)))
      .update('\0')
  return hash.digest('hex')
}

/** @param {string} folder */
async function filesBelow(folder) {
  const entries = await readdir(path.join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
}

/** The types of the typed client, from the description that the gateway serves. */
async function writeSchema() {
  const stamp = `// Made by \`npm run build\` from openapi.yaml (${await hashOf(['openapi.yaml', 'package.json'])}).\n`
  if ((await readFile(schema, 'utf8').catch(() => '')).startsWith(stamp)) return
  const { default: openapi, astToString } = await import('openapi-typescript')
  await writeFile(schema, stamp + astToString(await openapi(new URL('../openapi.yaml', import.meta.url))))
}

/** Each asset once more as brotli and gzip, as far as that makes it smaller. @param {string} folder */
async function compressAssets(folder) {
  const codings = {
    br: (/** @type {Buffer} */ content) =>
      promisify(brotliCompress)(content, {
        params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
      }),
    gz: (/** @type {Buffer} */ content) => promisify(gzip)(content, { level: 9 }),
  }
  const assets = path.join(folder, 'assets')
  const names = await readdir(assets)
  await Promise.all(
    names.flatMap((name) =>
      Object.entries(codings).map(async ([ending, compress]) => {
        const content = await readFile(path.join(assets, name))
        const smaller = await compress(content)
        if (smaller.length < content.length * 0.95)
          await writeFile(path.join(assets, `${name}.${ending}`), smaller)
      }),
    ),
  )
}

/** @param {string} stamp */
async function buildPages(stamp) {
  const { build } = await import('vite')
  const made = `${web}.${process.pid}`
  await build({
    root: path.join(root, 'console'),
    configFile: path.join(root, 'console/vite.config.js'),
    logLevel: 'warn',
    build: { outDir: made },
  })
  // Of scripts and styles the builder knows the licences, of fonts it does not.
  await appendFile(
    path.join(made, 'licences.md'),
    '\n' +
      '## @fontsource-variable/inter (OFL-1.1)\n' +
      '\n' +
      `${await readFile(path.join(root, 'node_modules/@fontsource-variable/inter/LICENSE'), 'utf8')}`,
  )
  await compressAssets(made)
  await writeFile(path.join(made, 'stamp'), stamp)
  // A gateway that starts just now finds the old pages or the new ones.
  await rename(web, `${made}.old`).catch(() => undefined)
  await rename(made, web)
  await rm(`${made}.old`, { recursive: true, force: true })
}

/** Brings dist/web/ up to date. */
export async function buildConsole() {
  await mkdir(path.dirname(web), { recursive: true })
  await writeSchema()
  const inputs = [
    ...(await filesBelow('console')),
    ...(await filesBelow('locales')),
    ...(await filesBelow('packages/client/src')),
    'package-lock.json',
    'scripts/build-console.js',
  ]
  const stamp = await hashOf(inputs.filter((file) => !file.endsWith('schema.d.ts')))
  if ((await readFile(path.join(web, 'stamp'), 'utf8').catch(() => '')) !== stamp) await buildPages(stamp)
}
