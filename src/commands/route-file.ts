import { access, constants, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { unlessMissing } from '../domain/unless-missing.js'

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/**
 * Returns the text of a route file, or undefined where there is none. Rejects, before anything else is done,
 * where it could not be read, or written afterwards.
 */
export async function readRouteFile(file: string): Promise<string | undefined> {
  try {
    const text = await unlessMissing(readFile(file, 'utf8'))
    await access(text === undefined ? path.dirname(file) : file, constants.W_OK)
    return text
  } catch (error) {
    throw new Error(
      `The route file ${path.resolve(file)} cannot be read and written by this user (${wordsOf(error)}). Nothing was changed. Name another with --file or GATEWAY_ROUTES, or run as its owner.`,
      { cause: error },
    )
  }
}

/**
 * Writes the text of a route file. Rejects with what to do where that fails all the same, as on a full disk.
 */
export async function writeRouteFile(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text)
  } catch (error) {
    throw new Error(
      `${file} cannot be written (${wordsOf(error)}). All else is made: make the file writable and run the command again.`,
      { cause: error },
    )
  }
}
