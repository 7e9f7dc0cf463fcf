import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from '@jest/globals'
import { isRiddle, sentences, wordsOf } from './support/prose.js'

const root = path.join(import.meta.dirname, '..')
const docs = (await readdir(path.join(root, 'docs'), { recursive: true }))
  .filter((file) => file.endsWith('.md'))
  .map((file) => path.join('docs', file))
const documents = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs]
const mostWords = 35

it.each(documents)('%s has no sentence over 35 words', async (document) => {
  const found = sentences(await readFile(path.join(root, document), 'utf8'))
  expect(found.filter((sentence) => wordsOf(sentence) > mostWords)).toEqual([])
})

it.each(documents)('%s names the subject of each sentence', async (document) => {
  const found = sentences(await readFile(path.join(root, document), 'utf8'))
  expect(found.filter(isRiddle)).toEqual([])
})

it('the check sees long sentences and riddles, and passes code, tables and questions', () => {
  const long = Array.from({ length: mostWords + 1 }, () => 'word').join(' ')
  const found = sentences(
    [
      `- ${long}.`,
      '',
      `| ${long} |`,
      '',
      '```sh',
      long,
      '```',
      '',
      'Who is calling? Whoever',
      'asks. **What** `x` is.',
    ].join('\n'),
  )
  expect(found).toEqual([`${long}.`, 'Who is calling?', 'Whoever asks.', 'What code is.'])
  expect(found.filter((sentence) => wordsOf(sentence) > mostWords)).toEqual([`${long}.`])
  expect(found.filter(isRiddle)).toEqual(['Whoever asks.', 'What code is.'])
})
