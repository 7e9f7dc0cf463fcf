import { isMap, isNode, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'

/** The line that a fault is on: of the place itself, else of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const around = document.getIn(path.slice(0, depth - 1), true)
    const name = String(path[depth - 1])
    const there = isMap(around)
      ? around.items.find(({ key }) => String(key) === name)?.key
      : isSeq(around)
        ? around.items[Number(name)]
        : undefined
    if (isNode(there) && there.range) return lines.linePos(there.range[0]).line
  }
  return 1
}

/** Returns what a fault is: of a key that is wrong, what is wrong with it. */
export function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message).join('; ') : issue.message
}

/** Reads a YAML text by a schema. Returns what it holds, or every fault with `file` and line. */
export function readYaml<Schema extends z.ZodType>(
  text: string,
  file: string,
  schema: Schema,
): { data: z.infer<Schema> } | { faults: string[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  if (document.errors.length > 0)
    return {
      faults: document.errors.map((error) => `${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`),
    }
  let value: unknown
  try {
    // aliases are resolved, but not so many that a small file becomes huge
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return { faults: [`${file}:1: ${error instanceof Error ? error.message : String(error)}`] }
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return { data: parsed.data }
  return {
    faults: parsed.error.issues.map((issue) => {
      const place = issue.path.length > 0 ? `${issue.path.map(String).join(' › ')}: ` : ''
      return `${file}:${lineOf(document, lines, issue.path)}: ${place}${messageOf(issue)}`
    }),
  }
}
