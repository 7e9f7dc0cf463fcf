import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from '@jest/globals'
import { isUuid, lowerCaseUuid, uuidAndText } from '../../src/domain/ids.js'

const source = new URL('../../src/', import.meta.url)

/** Returns the lines of src/, without domain/, that a pattern matches, as `file:line`. */
async function linesWith(pattern: RegExp): Promise<string[]> {
  const files = (await readdir(source, { recursive: true })).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('domain/'),
  )
  const found = await Promise.all(
    files.map(async (file) => {
      const lines = (await readFile(new URL(file, source), 'utf8')).split('\n')
      return lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : []))
    }),
  )
  return found.flat()
}

describe('a closed set is written down once, in src/domain', () => {
  it.each([
    ['the form of a UUID: isUuid', /\{8\}(?:-|\(\?:-)\[0-9a-f\]\{4\}|\[0-9a-f\]\{8\}/],
    ['the levels of a rule: levels', /'n',\s*'m',\s*'g'|'n' \| 'm'/],
    ['the actions of a rule: actions', /'read',\s*'create',\s*'update'|'read' \| 'create'/],
    ['the contexts of a rule: ruleContexts', /'DATA',\s*'(?:UI|RESOURCE)'|'DATA' \| 'UI'/],
    ['the providers: knownProviders', /['"`/](?:google|msft)\b|\b(?:GOOGLE|MSFT)_/],
    ['the milliseconds of a day or an hour: dayMs, hourMs', /86_?400|60 \* 60\b|\b3_?600_000/],
    ['the error of an unknown id: notFound', /'There is nothing with this id'/],
  ])('%s', async (_set, pattern) => {
    const inTexts = (line: string) => /^(?:errors|config)\.ts:/.test(line)
    expect((await linesWith(pattern)).filter((line) => !inTexts(line))).toEqual([])
  })
})

describe('a UUID', () => {
  const id = '3f2504e0-4f89-41d3-9a0c-0305e82c3301'

  it('is recognised in upper and lower case, and nothing around it is taken', () => {
    expect([id, id.toUpperCase()].map(isUuid)).toEqual([true, true])
    expect(['', `${id}0`, ` ${id}`, `${id}\n`, id.replaceAll('-', '')].map(isUuid)).toEqual(
      Array<boolean>(5).fill(false),
    )
  })

  it('has one canonical form, in lower case', () => {
    expect([lowerCaseUuid.test(id), lowerCaseUuid.test(id.toUpperCase())]).toEqual([true, false])
  })

  it('can be told from the text that follows it', () => {
    expect(uuidAndText.exec(`${id}a\nb`)?.slice(1)).toEqual([id, 'a\nb'])
  })
})
