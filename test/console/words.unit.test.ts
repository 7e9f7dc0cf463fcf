import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { detailInGerman } from '../../console/texts/details.js'

const root = path.resolve(import.meta.dirname, '../..')

/** What fields can be refused with, as the endpoints say it. */
async function fieldFaults(): Promise<string[]> {
  const folders = ['src/directory', 'src/login', 'src/portal', 'src/system', 'src/audit']
  const files = (
    await Promise.all(
      folders.map(async (folder) =>
        (await readdir(path.join(root, folder)))
          .filter((name) => name.endsWith('.ts'))
          .map((name) => path.join(root, folder, name)),
      ),
    )
  ).flat()
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
  return [
    ...new Set(
      texts.flatMap((text) =>
        [...text.matchAll(/'((?:must (?:be|have|not) |is a role of |cannot be )[^'\n]*)'/g)].map(
          ([, message]) => message ?? '',
        ),
      ),
    ),
  ].sort()
}

describe('what the console says of a refusal', () => {
  it('has German words for everything that a field can be refused with', async () => {
    const faults = await fieldFaults()
    expect(faults.length).toBeGreaterThan(30)
    expect(faults.filter((fault) => detailInGerman(fault) === undefined)).toEqual([])
  })
})
