import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { errorTable } from '../src/errors.js'

const root = path.join(import.meta.dirname, '..')
const read = (file: string) => readFile(path.join(root, file), 'utf8')
const document = await read('docs/decision-tables.md')

/** Returns the rows of the table under a heading, as lists of cells. */
function rowsUnder(heading: string): string[][] {
  const section = document.split('\n## ').find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.slice(2, -2).split(' | '))
}

const rowNumbers = (heading: string) => rowsUnder(heading).map(([number = '']) => Number(number))

/** Returns the row numbers in a text: "row 6", "rows 5 to 8", "rows 6 and 7". */
function citedIn(text: string): number[] {
  return [...text.matchAll(/\brows? (\d{1,2})\b(?: (to|and) (\d{1,2})\b)?/gi)].flatMap(
    ([, from = '', word, to]) => {
      const first = Number(from)
      if (to === undefined) return [first]
      return word === 'and'
        ? [first, Number(to)]
        : Array.from({ length: Number(to) - first + 1 }, (_, index) => first + index)
    },
  )
}

const filesOf = async (folder: string) =>
  (await readdir(path.join(root, folder), { recursive: true }))
    .filter((file) => /\.(?:ts|md)$/.test(file))
    .map((file) => path.join(folder, file))

describe('docs/decision-tables.md', () => {
  it.each([
    ['The authentication table', 'test/authentication/authenticate.test.ts', 0],
    ['The context table', 'test/context/resolve-context.test.ts', 1],
  ])('%s has a group of tests for each of its rows', async (heading, tests, first) => {
    const numbers = rowNumbers(heading)
    const groups = [...(await read(tests)).matchAll(/^describe\('([^']+)'/gm)].map(([, name = '']) => name)
    expect(numbers).toEqual(numbers.map((_, index) => first + index))
    expect([...new Set(groups.flatMap(citedIn))].sort((a, b) => a - b)).toEqual(numbers)
  })

  it('has each row that code, comments, tests and documents cite', async () => {
    const context = new Set(rowNumbers('The context table'))
    const authentication = new Set(rowNumbers('The authentication table'))
    const files = (
      await Promise.all(['src', 'test/authentication', 'test/context', 'docs'].map(filesOf))
    ).flat()
    const cited = await Promise.all(
      files.map(async (file) => {
        const rows = file.includes('/context/') ? context : authentication
        return citedIn(await read(file)).map((row) => ({ file, row, exists: rows.has(row) }))
      }),
    )
    expect(cited.flat().length).toBeGreaterThan(30)
    expect(cited.flat().filter((citation) => !citation.exists)).toEqual([])
  })

  it('lists the codes of the gateway, each with its status, and no others', () => {
    const listed = rowsUnder('The codes').flatMap(([status = '', codes = '']) =>
      [...codes.matchAll(/`(\w+)`/g)].map(([, code]) => [code, Number(status.slice(0, 3))]),
    )
    expect(Object.fromEntries(listed)).toEqual(
      Object.fromEntries(Object.entries(errorTable).map(([code, { status }]) => [code, status])),
    )
    expect(listed).toHaveLength(Object.keys(errorTable).length)
  })
})
