import { describe, expect, it } from '@jest/globals'
import { namesOf, preparePassword, prepareUsername } from '../../src/authentication/precis.js'

describe('usernames are prepared by UsernameCaseMapped', () => {
  // RFC 8265 §3.5, tables 1 and 2: examples 1 to 10. User parts of one word are meant.
  it.each([
    ['juliet@example.com', 'juliet@example.com'],
    ['fussball', 'fussball'],
    ['fu\u00dfball', 'fu\u00dfball'],
    ['\u03c0', '\u03c0'],
    ['\u03a3', '\u03c3'],
    ['\u03c3', '\u03c3'],
    ['\u03c2', '\u03c2'],
  ])('%s becomes %s', (typed, prepared) => {
    expect(prepareUsername(typed)).toBe(prepared)
  })

  it.each([
    ['two words', 'foo bar'],
    ['an empty one', ''],
    ['a roman numeral', 'henry\u2163'],
    ['an infinity', '\u221e'],
  ])('%s is no username', (_what, typed) => {
    expect(prepareUsername(typed)).toBeUndefined()
  })

  it.each([
    ['letters of full width are those of ordinary width', '\uff21\uff2e\uff2e\uff21', 'anna'],
    ['a letter and its accent are one', 'jose\u0301', 'jos\u00e9'],
    ['capitals are small letters', 'ANNA.Müller', 'anna.m\u00fcller'],
    [
      'an Arabic name may hold a joiner between its letters',
      '\u0646\u0627\u0645\u0647\u200c\u0627\u06cc',
      '\u0646\u0627\u0645\u0647\u200c\u0627\u06cc',
    ],
    ['a name from right to left may end in digits', '\u05d0\u05d1\u05d27', '\u05d0\u05d1\u05d27'],
    ['a middle dot stands between l and l', 'col\u00b7laborar', 'col\u00b7laborar'],
  ])('%s', (_what, typed, prepared) => {
    expect(prepareUsername(typed)).toBe(prepared)
  })

  it.each([
    ['Cyrillic and Latin', '\u0430dmin'],
    ['Greek and Latin', 'adm\u03b9n'],
    ['a zero-width space', 'ad\u200bmin'],
    ['a joiner between Latin letters', 'ad\u200dmin'],
    ['a soft hyphen', 'ad\u00admin'],
    ['a control character', 'ad\u0007min'],
    ['a lone surrogate', 'ad\ud800min'],
    ['a symbol', 'admin\u2665'],
    ['a middle dot elsewhere', 'a\u00b7b'],
    ['letters of both directions', '\u05d0abc'],
    ['an unassigned code point', 'a\u{e0080}'],
  ])('%s is no username', (_what, typed) => {
    expect(prepareUsername(typed)).toBeUndefined()
  })

  it('is idempotent', () => {
    for (const typed of ['\uff21\uff2e\uff2e\uff21', 'jose\u0301', '\u03a3\u03a3', 'ANNA'])
      expect(prepareUsername(prepareUsername(typed) ?? '')).toBe(prepareUsername(typed))
  })

  it('looks a typed name up as it is, in lower case and prepared; as it is if it cannot be prepared', () => {
    expect(namesOf('Jose\u0301')).toEqual(['Jose\u0301', 'jose\u0301', 'jos\u00e9'])
    expect(namesOf('alice')).toEqual(['alice'])
    expect(namesOf('Foo Bar')).toEqual(['Foo Bar', 'foo bar'])
  })
})

describe('passwords are prepared by OpaqueString', () => {
  // RFC 8265 §4.3, tables 3 and 4: examples 12 to 17.
  it.each([
    ['correct horse battery staple', 'correct horse battery staple'],
    ['Correct Horse Battery Staple', 'Correct Horse Battery Staple'],
    ['\u03c0\u00df\u00e5', '\u03c0\u00df\u00e5'],
    ['Jack of \u2666s', 'Jack of \u2666s'],
    ['foo\u1680bar', 'foo bar'],
  ])('%s becomes %s', (typed, prepared) => {
    expect(preparePassword(typed)).toBe(prepared)
  })

  it.each([
    ['an empty one', ''],
    ['a tab', 'my cat is a \u0009by'],
    ['a zero-width space', 'pass\u200bword'],
    ['a lone surrogate', 'a\ud800'],
  ])('%s is no password', (_what, typed) => {
    expect(preparePassword(typed)).toBeUndefined()
  })

  it('composes accents, and leaves case and width as they are', () => {
    expect(preparePassword('Pa\u0301ss \uff21')).toBe('P\u00e1ss \uff21')
  })
})
