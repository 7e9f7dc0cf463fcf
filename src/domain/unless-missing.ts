import { open } from 'node:fs/promises'
import { hasCode } from '../errors.js'

/** The file system's "it is not there" becomes undefined; everything else stays an error. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes what was written to a file, or to the list that a directory is, outlive a loss of power. */
export async function flushToDisk(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
