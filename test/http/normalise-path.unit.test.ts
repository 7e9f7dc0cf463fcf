import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.js'
import { normalisePath } from '../../src/http/normalise-path.js'
import { ambiguous, harmless } from '../support/paths.js'

/** The path as it is matched and sent on, or undefined where it is refused. */
function normalised(path: string): string | undefined {
  try {
    return normalisePath(path)
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'path_ambiguous') return undefined
    throw error
  }
}

/** Everything that `path` turns into when it is decoded again and again, as a careless upstream might. */
function decodings(path: string): string[] {
  const all = [path]
  for (let text = path; ;) {
    const next = text.replace(/%[0-9a-f]{2}/gi, (escape) =>
      String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
    )
    if (next === text) return all
    all.push(next)
    text = next
  }
}

/** Paths made of the pieces that trick normalisers. */
const trickyPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '.',
        '..',
        '%',
        '%25',
        '2',
        '5',
        '%32',
        '%35',
        '%66',
        '%46',
        'f',
        'F',
        '2f',
        '2F',
        'c',
        '%63',
        'e',
        '%65',
        '%2e',
        '%2E',
        '%2f',
        '%5c',
        '%00',
        '0',
        '%30',
        '\\',
        ';',
        'a',
        'auth',
        '%61',
        '%c3',
        '%a9',
        '%ff',
        '#',
        'é',
        ' ',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => `/${parts.join('')}`)

describe('a path', () => {
  describe.each(Object.entries(ambiguous))('with %s is refused', (_, paths) => {
    it.each(paths)('%j', (path) => expect(normalised(path)).toBeUndefined())
  })

  it.each(harmless)('%s is %s', (path, expected) => expect(normalised(path)).toBe(expected))

  it('once normalised stays as it is', () => {
    fc.assert(
      fc.property(trickyPath, (path) => {
        const once = normalised(path)
        if (once !== undefined) expect(normalised(once)).toBe(once)
      }),
      { numRuns: 20_000 },
    )
  })

  it('once normalised holds nothing that is refused, however often somebody decodes it', () => {
    fc.assert(
      fc.property(trickyPath, (path) => {
        const once = normalised(path)
        if (once === undefined) return
        expect(once).toMatch(/^\/[\x21-\x7e]*$/)
        expect(once).not.toMatch(/%(?![0-9A-F]{2})/)
        for (const decoded of decodings(once)) {
          expect(decoded.includes('\\') || decoded.includes('\0')).toBe(false)
          expect(decoded.split('/').length).toBe(once.split('/').length) // no slash was hidden
          expect(decoded).not.toMatch(/(?:^|\/)\.{1,2}(?:[/;]|$)/)
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('means the same whether letters and digits are escaped or not', () => {
    const plain = fc.stringMatching(/^[A-Za-z0-9_~-]{1,8}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, fc.boolean()), { minLength: 1, maxLength: 5 }), (segments) => {
        const escape = (text: string) =>
          text.replace(/./g, (character) => `%${character.charCodeAt(0).toString(16)}`)
        const written = segments
          .map(([segment, escaped]) => `/${escaped ? escape(segment) : segment}`)
          .join('')
        expect(normalised(written)).toBe(segments.map(([segment]) => `/${segment}`).join(''))
      }),
    )
  })
})
