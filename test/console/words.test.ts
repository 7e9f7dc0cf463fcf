import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { detailInGerman } from '../../console/texts/details.js'
import { problems } from '../../console/texts/problems.js'
import { errorTable } from '../../src/errors.js'

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
  it.each(Object.keys(errorTable))('of %s, in English and in German', (code) => {
    // A code without words: add `problem.<code>` to console/texts/problems.ts, in both languages.
    const said: readonly string[] | undefined = Object.entries(problems).find(
      ([key]) => key === `problem.${code}`,
    )?.[1]
    expect(said).toHaveLength(2)
    for (const text of said!) expect(text).toMatch(/^[A-ZÄÖÜ].{10,}\.$/)
    expect(said![0]).not.toBe(said![1])
  })

  it('is of no code that the gateway does not have', () => {
    expect(
      Object.keys(problems)
        .map((key) => key.replace('problem.', ''))
        .filter((code) => !(code in errorTable)),
    ).toEqual([])
  })

  it('has German words for everything that a field can be refused with', async () => {
    const faults = await fieldFaults()
    expect(faults.length).toBeGreaterThan(30)
    expect(faults.filter((fault) => detailInGerman(fault) === undefined)).toEqual([])
  })
})
