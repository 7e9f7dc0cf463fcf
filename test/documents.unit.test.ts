import { access, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from '@jest/globals'

const root = path.join(import.meta.dirname, '..')
const documents = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...(await readdir(path.join(root, 'docs'), { recursive: true }))
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.join('docs', file)),
]

/** Files that a document names, from the root: in code, and as what it links to. */
function filesIn(document: string, text: string): string[] {
  const named = [
    ...text.matchAll(/`((?:src|test|scripts|deploy|bench|migrations|examples|console)\/[\w./-]+\.\w+)`/g),
  ].map(([, file = '']) => file)
  const linked = [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map(([, file = '']) =>
    path.join(path.dirname(document), file),
  )
  return [...named, ...linked]
}

it.each(documents)('%s names no file that is not there', async (document) => {
  const files = filesIn(document, await readFile(path.join(root, document), 'utf8'))
  const missing = await Promise.all(
    [...new Set(files)].map(
      async (file) =>
        await access(path.join(root, file)).then(
          () => [],
          () => [file],
        ),
    ),
  )
  expect(missing.flat()).toEqual([])
})

it('they name many: those of the table of requirements above all', async () => {
  expect(
    filesIn('docs/asvs.md', await readFile(path.join(root, 'docs/asvs.md'), 'utf8')).length,
  ).toBeGreaterThan(100)
})
