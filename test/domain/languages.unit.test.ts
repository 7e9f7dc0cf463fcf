import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { languages, readLocales, textsIn, type Locale } from '../../src/domain/languages.js'
import { errorTable } from '../../src/errors.js'

const folder = path.resolve(import.meta.dirname, '../../locales')
const groups = ['console', 'portal', 'pages', 'reasons', 'mail'] as const
const english = textsIn('en')

const read = async (language: string) =>
  JSON.parse(await readFile(path.join(folder, `${language}.json`), 'utf8')) as Locale
const textsOf = (locale: Locale): Record<string, string> =>
  Object.fromEntries(
    groups.flatMap((group) =>
      Object.entries(locale[group]).map(([key, text]) => [`${group}.${key}`, text] as const),
    ),
  )
const pluralForm = /\.(?:zero|one|two|few|many|other)$/
/** Texts with plural forms, without the form: each has an `.other` beside its other forms. */
const pluralsOf = (texts: Record<string, string>) =>
  Object.keys(texts)
    .filter((key) => key.endsWith('.other'))
    .map((key) => key.replace(pluralForm, ''))
/** The keys, with one for all plural forms of a text: a language may have more forms than another. */
const keysOf = (texts: Record<string, string>) => {
  const plurals = new Set(pluralsOf(texts))
  const base = (key: string) => key.replace(pluralForm, '')
  return [...new Set(Object.keys(texts).map((key) => (plurals.has(base(key)) ? base(key) : key)))].sort()
}
const placeholdersIn = (text = '') => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

it('has a language for each file in locales/, and English among them', async () => {
  const files = (await readdir(folder)).map((file) => file.replace('.json', ''))
  expect([...languages].sort()).toEqual(files.sort())
  expect(languages).toContain('en')
})

describe.each([...languages])('the texts of %s', (language) => {
  it('have the keys of the English ones', async () => {
    expect(keysOf(textsOf(await read(language)))).toEqual(keysOf(textsOf(english)))
  })

  it('have the placeholders of the English ones', async () => {
    const own = textsOf(await read(language))
    const source = textsOf(english)
    const differing = Object.entries(own).filter(([key, text]) => {
      const counterpart = source[key] ?? source[key.replace(pluralForm, '.other')]
      // "1 node" may leave out the number, which its form says already
      const expected = placeholdersIn(counterpart)
      return ![expected, expected.filter((one) => one !== '{count}')].some(
        (allowed, index) =>
          (index === 0 || pluralForm.test(key)) &&
          JSON.stringify(allowed) === JSON.stringify(placeholdersIn(text)),
      )
    })
    expect(differing).toEqual([])
  })

  it('have each plural form of the language, and no other', async () => {
    const { locale, ...rest } = await read(language)
    const texts = textsOf({ locale, ...rest })
    const { pluralCategories } = new Intl.PluralRules(locale).resolvedOptions()
    const plurals = pluralsOf(texts)
    expect(plurals.length).toBeGreaterThan(3)
    const expected = plurals.flatMap((plural) => pluralCategories.map((form) => `${plural}.${form}`))
    const forms = Object.keys(texts).filter(
      (key) => pluralForm.test(key) && plurals.includes(key.replace(pluralForm, '')),
    )
    expect(forms.sort()).toEqual(expected.sort())
  })

  it('are all there: none is empty, and the language names itself', async () => {
    const locale = await read(language)
    expect(Object.entries(textsOf(locale)).filter(([, text]) => text.trim() === '')).toEqual([])
    expect(locale.name).not.toBe('')
    expect(Intl.getCanonicalLocales(locale.locale)).toEqual([locale.locale])
    expect(locale.locale.split('-')[0]).toBe(language)
  })

  it('say of each code of a refusal what happened, in a sentence', async () => {
    const { console: texts } = await read(language)
    const problems = Object.entries(texts).filter(([key]) => key.startsWith('problem.'))
    expect(problems.map(([key]) => key.replace('problem.', '')).sort()).toEqual(
      Object.keys(errorTable).sort(),
    )
    for (const [, text] of problems) expect(text).toMatch(/^\p{Lu}.{10,}\.$/u)
  })
})

describe('a file with a few texts of one more language', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'locales-'))
    await writeFile(path.join(directory, 'en.json'), await readFile(path.join(folder, 'en.json')))
    await writeFile(
      path.join(directory, 'fr.json'),
      JSON.stringify({ name: 'Français', locale: 'fr-FR', portal: { signOut: 'Se déconnecter' } }),
    )
    await writeFile(path.join(directory, 'README.md'), 'no language')
  })
  afterAll(() => rm(directory, { recursive: true }))

  it('adds that language, with the English texts for those that are missing', () => {
    const locales = readLocales(directory)
    expect([...locales.keys()]).toEqual(['en', 'fr'])
    expect(locales.get('fr')).toMatchObject({
      name: 'Français',
      portal: { signOut: 'Se déconnecter', enterTitle: english.portal.enterTitle },
    })
  })
})
