import { describe, expect, it } from '@jest/globals'
import { allFences } from '../support/fences.js'

/**
 * What becomes of a block, by its language. A language that is not here would be documentation that nobody
 * runs.
 */
const treated = {
  console: 'test/docs/shell.test.ts runs it and compares what it prints',
  sh: 'test/docs/shell.test.ts runs it',
  ts: 'test/packages/packages.test.ts compiles it',
  js: 'test/packages/packages.test.ts compiles it',
  yaml: 'test/docs/files.test.ts reads it as a route table',
  json: 'test/docs/files.test.ts parses it',
  sql: 'test/docs/files.test.ts runs it',
  nginx: 'test/docs/files.test.ts has nginx read it',
  python: 'test/docs/other-languages.test.ts runs it',
  go: 'test/docs/other-languages.test.ts builds it',
  text: 'it is a picture or an output, not something to type',
}

describe('the documentation', () => {
  it('has no fenced block of a kind that no test reads', async () => {
    const fences = await allFences()
    expect(fences.length).toBeGreaterThan(20)
    expect(
      fences.filter(({ language }) => !(language in treated)).map(({ file, line }) => `${file}:${line}`),
    ).toEqual([])
  })

  it('says why a block cannot be run, where it is not run', async () => {
    const notes = (await allFences()).flatMap(({ note, language, file, line }) =>
      note?.startsWith('not run') === true ? [{ note, language, at: `${file}:${line}` }] : [],
    )
    expect(notes.filter(({ note }) => !/^not run: .{10,}$/.test(note))).toEqual([])
    expect(notes.length).toBeLessThan(10)
  })
})
