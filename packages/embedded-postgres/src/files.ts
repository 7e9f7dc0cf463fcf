import { open } from 'node:fs/promises'
import { hasCode } from './errors.js'

/** Returns undefined where the file or folder is missing; every other failure stays an error. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes a file's content, or a directory's list of names, survive a loss of power. */
export async function flushToDisk(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
