import { readdir, readFile } from 'node:fs/promises'
import { expect, it } from '@jest/globals'
import ts from 'typescript'
import { quickest } from '../support/quickest.js'

interface Pattern {
  /** File and line. */
  place: string
  pattern: RegExp
}

const source = new URL('../../src/', import.meta.url)

async function patternsOfSource(): Promise<Pattern[]> {
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const found = await Promise.all(files.map(async (file) => {
    const tree = ts.createSourceFile(file, await readFile(new URL(file, source), 'utf8'), ts.ScriptTarget.Latest, true)
    const patterns: Pattern[] = []
    const walk = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const end = node.text.lastIndexOf('/')
        patterns.push({ place: `${file}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`, pattern: new RegExp(node.text.slice(1, end), node.text.slice(end + 1)) })
      }
      ts.forEachChild(node, walk)
    }
    walk(tree)
    return patterns
  }))
  return found.flat()
}

const unique = (values: string[]) => [...new Set(values)]

/** Texts that make a pattern try again and again, if it is one that does: what it is made of, repeated, behind what it begins with and before what it does not take. */
function* attacksOn({ source: text }: RegExp, length: number): Generator<string> {
  const own = unique(text.replace(/\\[a-zA-Z]/g, '').match(/[^\\^$()|*+?]/g) ?? [])
  const single = unique([...own, 'a', '0', ' ', '-', '.', '\t'])
  const pairs = own.filter((one) => /[^a-zA-Z]/.test(one)).slice(0, 8).flatMap((one) => ['a', '0', ' ', one].map((other) => one + other))
  const words = unique(text.match(/[a-z][a-z:/-]{2,}=?/gi) ?? []).slice(0, 6)
  for (const begin of ['', ...words]) {
    for (const pump of unique([...single, ...pairs, ...words])) {
      for (const end of ['', '\u0001']) yield begin + pump.repeat(length / pump.length) + end
    }
  }
}

const patterns = await patternsOfSource()

it('there are patterns to try', () => {
  expect(patterns.length).toBeGreaterThan(60)
})

/** As long as a request's head may be. What is quadratic takes a second for it; what is linear, some ten microseconds. */
const longest = 32_768
const limitMs = 100

it.each(patterns.map(({ place, pattern }) => [place, pattern] as const))('%s takes no longer than a text is, whatever the text: %s', (_place, pattern) => {
  const search = (text: string) => { text.search(pattern) }
  const slow: string[] = []
  for (const length of [32, 1024, longest]) {
    for (const text of attacksOn(pattern, length)) {
      if (quickest(1, () => search(text)) > limitMs && quickest(5, () => search(text)) > limitMs) slow.push(`${text.slice(0, 40)}… (${length})`)
      if (slow.length > 2) break
    }
    if (slow.length > 0) break // a longer text might never end
  }
  expect(slow).toEqual([])
})
