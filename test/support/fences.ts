import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const root = path.resolve(import.meta.dirname, '../..')

/** A fenced block of a Markdown file. */
export interface Fence {
  file: string
  /** The line of its first line of text. */
  line: number
  language: string
  /** What the comment right before it says, such as `not run: needs a container engine`. */
  note: string | undefined
  text: string
}

const opening = /^(?<indent> *)```(?<language>\S*)$/

/** Returns the fenced blocks of a Markdown text. A comment `<!-- … -->` on the line before a block is its note. */
export function fencesIn(text: string, file: string): Fence[] {
  const fences: Fence[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const { indent, language = '' } = opening.exec(lines[index] ?? '')?.groups ?? {}
    if (indent === undefined) continue
    const before = lines.slice(0, index).findLast((line) => line.trim() !== '') ?? ''
    const end = lines.findIndex((line, at) => at > index && line === `${indent}\`\`\``)
    if (end < 0) throw new Error(`${file}:${index + 1}: the block does not end`)
    const body = lines.slice(index + 1, end).map((line) => line.slice(indent.length))
    fences.push({
      file,
      line: index + 2,
      language,
      note: /^ *<!-- (.*) -->$/.exec(before)?.[1],
      text: `${body.join('\n')}\n`,
    })
    index = end
  }
  return fences
}

/** Returns the Markdown files of the project, as git knows them, without those of the changelog. */
export async function documents(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('git', ['ls-files', '*.md'], { cwd: root })
  return stdout
    .trim()
    .split('\n')
    .filter((file) => file !== 'CHANGELOG.md')
}

/** Returns all fenced blocks of the project's documents. */
export async function allFences(): Promise<Fence[]> {
  const files = await documents()
  return (
    await Promise.all(
      files.map(async (file) => fencesIn(await readFile(path.join(root, file), 'utf8'), file)),
    )
  ).flat()
}
