import { access, constants, mkdir } from 'node:fs/promises'
import path from 'node:path'

/**
 * Creates the data directory if it is missing. Rejects, with a sentence for the operator, when this user
 * cannot write to it.
 */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new Error(
      `The data directory ${path.resolve(dataDir)} cannot be written by this user. ` +
        'Set DATA_DIR to a directory that can be, or run as its owner.',
      { cause: error },
    )
  }
}
