/**
 * Checks that every regular expression takes time linear in its input (recheck): those written in the code of
 * gateway, console and packages, and those of the OpenAPI document, which include the ones that zod makes.
 * Exits 1 where one is not linear, or is built at run time in a new place.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { check } from 'recheck'
import ts from 'typescript'
import { parse } from 'yaml'

const root = new URL('../', import.meta.url)
const folders = ['src', 'console', 'packages', 'examples'].filter((folder) =>
  existsSync(new URL(folder, root)),
)

/** Patterns made of text that is not in the code: `file` and why they are linear. */
const builtAtRunTime = new Map([
  ['src/domain/ids.ts', 'the form of a UUID, of fixed length, then at most one .* at the end'],
  ['src/proxy/find-policy.ts', 'paths of endpoints, each segment [^/]+ between slashes'],
])

/** @typedef {{ place: string, source: string, flags: string }} Pattern */

/** @type {string[]} */
const faults = []

/** @param {string} file @returns {Promise<Pattern[]>} */
async function patternsOf(file) {
  const tree = ts.createSourceFile(
    file,
    await readFile(new URL(file, root), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  )
  /** @type {Pattern[]} */
  const found = []
  /** @param {ts.Node} node */
  const walk = (node) => {
    const place = `${file}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/')
      found.push({ place, source: node.text.slice(1, end), flags: node.text.slice(end + 1) })
    }
    if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp') {
      const [text, flags] = node.arguments ?? []
      if (text && ts.isStringLiteralLike(text))
        found.push({
          place,
          source: text.text,
          flags: flags && ts.isStringLiteralLike(flags) ? flags.text : '',
        })
      else if (!builtAtRunTime.has(file))
        faults.push(
          `${place}: this pattern is built at run time. Write it as a literal, or add the ` +
            'file to builtAtRunTime with the reason why it is linear',
        )
    }
    ts.forEachChild(node, walk)
  }
  walk(tree)
  return found
}

/** @param {unknown} node @param {string} place @returns {Pattern[]} */
function patternsOfSchema(node, place) {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) =>
    key === 'pattern' && typeof value === 'string'
      ? [{ place, source: value, flags: 'u' }]
      : patternsOfSchema(value, `${place}/${key}`),
  )
}

const files = (
  await Promise.all(
    folders.map(async (folder) =>
      (await readdir(new URL(folder, root), { recursive: true })).map((file) => `${folder}/${file}`),
    ),
  )
)
  .flat()
  .filter((file) => /\.(?:ts|tsx|js)$/.test(file) && !/(?:^|\/)(?:node_modules|dist)\//.test(file))
const inCode = (await Promise.all(files.map(patternsOf))).flat()
const inDocument = patternsOfSchema(
  parse(await readFile(new URL('openapi.yaml', root), 'utf8')),
  'openapi.yaml',
)
const unique = new Map(
  [...inCode, ...inDocument].map((pattern) => [`/${pattern.source}/${pattern.flags}`, pattern]),
)

if (inCode.length < 100)
  faults.push(
    `only ${inCode.length} patterns were found in ${folders.join(', ')}: this check looks in the wrong place`,
  )
for (const [text, { place, source, flags }] of unique) {
  const { status, complexity, error } = await check(source, flags.replace('d', ''), { timeout: 20_000 })
  if (status === 'safe') continue
  faults.push(
    `${place}: ${text} is ` +
      `${status === 'vulnerable' ? complexity.summary : `not decided (${error.kind})`}. Write it so ` +
      'that no two of its parts can take the same text',
  )
}

console.log(`${unique.size} patterns of ${files.length} files and openapi.yaml.`)
for (const fault of faults) console.error(fault)
process.exit(faults.length > 0 ? 1 : 0)
