import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { csvAnswer } from '../../src/http/endpoint/csv.js'

const columns = ['id', 'label', 'count'] as const
const tableOf = (label: string) => csvAnswer('things', columns, [{ id: 'a', label, count: -5 }])
const contentOf = (label: string) => tableOf(label).text?.content ?? ''

/**
 * Reads a table as spreadsheets do: a quote counts where a cell begins, and a line break ends a row outside
 * quotes.
 */
function readTable(text: string, separator: string): string[] {
  const cells: string[] = []
  let [cell, isQuoted, isNew] = ['', false, true]
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? ''
    if (isQuoted && character === '"' && text[index + 1] === '"') [cell, index] = [`${cell}"`, index + 1]
    else if (isQuoted) [cell, isQuoted] = character === '"' ? [cell, false] : [cell + character, true]
    else if (isNew && character === '"') [isQuoted, isNew] = [true, false]
    else if (character === separator || character === '\n' || character === '\r') {
      cells.push(cell)
      ;[cell, isNew] = ['', true]
    } else [cell, isNew] = [cell + character, false]
  }
  return [...cells, cell]
}

const startsFormula = (cell: string) =>
  /^[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(cell) && !/^-\d+$/.test(cell)

describe('a table for spreadsheets', () => {
  it.each([
    '=1+1',
    'x;=1+1;y',
    'x\t=1+1',
    'x|=1+1',
    'x\r\n=1+1',
    'x,=1+1',
    '";=1+1',
    'x; =1+1',
    "x;'=1+1",
    'x;@SUM(A1)',
    'x;-2+3',
    '\uff1d1+1',
    "x;=cmd|'/C calc'!A0;y",
  ])('holds no formula, whatever separates its cells: %j', (label) => {
    for (const separator of [',', ';', '\t', '|'])
      expect(readTable(contentOf(label), separator).filter(startsFormula)).toEqual([])
  })

  it('holds no formula of any text', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom(
            '=',
            '+',
            '-',
            '@',
            ',',
            ';',
            '\t',
            '|',
            '"',
            "'",
            '\r',
            '\n',
            ' ',
            'a',
            'ü',
            '\uff1d',
          ),
          maxLength: 12,
        }),
        (label) => {
          for (const separator of [',', ';', '\t', '|'])
            expect(readTable(contentOf(label), separator).filter(startsFormula)).toEqual([])
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('leaves text that is no formula as it is, and numbers are numbers', () => {
    for (const label of [
      'Müller & Söhne',
      'a-b',
      'me+you@example.com',
      "O'Neil",
      '2026-12-01',
      'a, b; c',
      ' x ',
    ]) {
      const row = contentOf(label).split('\r\n')[1] ?? ''
      expect(readTable(row, ',')).toEqual(['a', label, '-5'])
    }
  })

  it('says that it is UTF-8, and what the file is called', () => {
    expect(contentOf('x').startsWith('\ufeffid,label,count\r\n')).toBe(true)
    expect(tableOf('x').headers).toEqual({ 'Content-Disposition': 'attachment; filename="things.csv"' })
  })
})
