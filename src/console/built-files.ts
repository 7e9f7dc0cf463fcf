import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Where `npm run build` leaves the pages: beside the compiled sources, also when those are run as they are.
 */
const folder = fileURLToPath(new URL('../../dist/web/', import.meta.url))

/** One file in the codings that it can be sent in; `identity` is the file itself. */
export interface BuiltFile {
  contentType: string
  codings: { identity: Buffer; br?: Buffer; gzip?: Buffer }
}

/** What the build made: pages by name, such as `console.html`, and hashed assets by file name. */
export interface BuiltFiles {
  pages: ReadonlyMap<string, string>
  assets: ReadonlyMap<string, BuiltFile>
}

const contentTypes: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

async function readAsset(
  directory: string,
  name: string,
  all: ReadonlySet<string>,
): Promise<[string, BuiltFile]> {
  const read = (file: string) => readFile(path.join(directory, file))
  const contentType = contentTypes[path.extname(name)] ?? 'application/octet-stream'
  const [identity, br, gzip] = await Promise.all([
    read(name),
    all.has(`${name}.br`) ? read(`${name}.br`) : undefined,
    all.has(`${name}.gz`) ? read(`${name}.gz`) : undefined,
  ])
  return [name, { contentType, codings: { identity, ...(br ? { br } : {}), ...(gzip ? { gzip } : {}) } }]
}

async function readBuilt(): Promise<BuiltFiles> {
  const files = await readdir(folder).catch(() => [])
  const pages = await Promise.all(
    files
      .filter((file) => file.endsWith('.html'))
      .map(async (file): Promise<[string, string]> => [
        file,
        await readFile(path.join(folder, file), 'utf8'),
      ]),
  )
  const directory = path.join(folder, 'assets')
  const all = new Set(await readdir(directory).catch(() => []))
  const assets = await Promise.all(
    [...all].filter((name) => !/\.(?:br|gz)$/.test(name)).map((name) => readAsset(directory, name, all)),
  )
  return { pages: new Map(pages), assets: new Map(assets) }
}

/**
 * Reads what the build made when it is first asked for, once: about a megabyte, which then answers from
 * memory.
 */
export function builtFiles(): () => Promise<BuiltFiles> {
  let reading: Promise<BuiltFiles> | undefined
  return () => (reading ??= readBuilt())
}
