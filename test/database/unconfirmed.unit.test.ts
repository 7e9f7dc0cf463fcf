import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from '@jest/globals'

const source = path.resolve(import.meta.dirname, '../../src')

/** What keeps coherence, and knows what to make of an answer that nobody has confirmed. */
const mayRead = [
  'coherence/commit-and-await-nodes.ts',
  'coherence/node.ts',
  'coherence/sweep-nodes.ts',
  'database/connect.ts',
]

it('nothing but the protocol itself reads without a lease or a commit that confirms it', async () => {
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(path.join(source, file), 'utf8') })),
  )
  expect(
    texts
      .filter(({ text }) => /\bunconfirmed\b/.test(text))
      .map(({ file }) => file)
      .filter((file) => !mayRead.includes(file)),
  ).toEqual([])
  // Connections of one's own would be another way. The import has one, to the database of another system.
  const connecting = texts
    .filter(({ text }) => /new pg\.(?:Client|Pool)\(/.test(text))
    .map(({ file }) => file)
  expect(connecting.filter((file) => !file.startsWith('database/'))).toEqual([
    'commands/import/source-queries.ts',
  ])
})
