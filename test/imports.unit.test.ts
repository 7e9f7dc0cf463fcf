import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from '@jest/globals'
import ts from 'typescript'

type Graph = Map<string, string[]>

const root = path.join(import.meta.dirname, '..')

/** Returns the files that each file of src/ and packages/ imports by a relative path, types included. */
async function readGraph(): Promise<Graph> {
  const packages = await readdir(path.join(root, 'packages'))
  const folders = ['src', ...packages.map((name) => `packages/${name}/src`)]
  const files: string[] = []
  for (const folder of folders) {
    const names = await readdir(path.join(root, folder), { recursive: true })
    files.push(...names.filter((name) => name.endsWith('.ts')).map((name) => path.join(folder, name)))
  }
  const graph: Graph = new Map()
  for (const file of files) {
    const { importedFiles } = ts.preProcessFile(await readFile(path.join(root, file), 'utf8'))
    const imported = importedFiles
      .map(({ fileName }) => fileName)
      .filter((name) => name.startsWith('.'))
      .map((name) => path.join(path.dirname(file), name).replace(/\.js$/, '.ts'))
    graph.set(
      file,
      imported.filter((name) => files.includes(name)),
    )
  }
  return graph
}

/** Returns every file that `from` imports, directly or through other files. */
function reachableFrom(graph: Graph, from: string): Set<string> {
  const reached = new Set<string>()
  const open = [...(graph.get(from) ?? [])]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    open.push(...(graph.get(file) ?? []))
  }
  return reached
}

/** Returns each group of files that import each other, as their sorted names. */
function circlesOf(graph: Graph): string[] {
  const reachable = new Map([...graph.keys()].map((file) => [file, reachableFrom(graph, file)]))
  const circles = [...graph.keys()]
    .filter((file) => reachable.get(file)?.has(file))
    .map((file) =>
      [...graph.keys()]
        .filter((other) => reachable.get(file)?.has(other) && reachable.get(other)?.has(file))
        .sort()
        .join(', '),
    )
  return [...new Set(circles)].sort()
}

it('no files import each other in a circle, types included', async () => {
  const graph = await readGraph()
  expect(graph.get('src/main.ts')).toContain('src/config.ts') // the graph is not empty
  expect(circlesOf(graph)).toEqual([])
})

it('a circle is found through any number of files, and a shared import is none', () => {
  const graph: Graph = new Map([
    ['a', ['b', 'shared']],
    ['b', ['c', 'shared']],
    ['c', ['a']],
    ['d', ['a', 'shared']],
    ['shared', []],
  ])
  expect(circlesOf(graph)).toEqual(['a, b, c'])
})
