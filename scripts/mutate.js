/**
 * Mutation testing of chosen files: changes one thing at a time, in a copy of the project, and looks whether the tests that belong to it notice.
 *
 *   node scripts/mutate.js [--files src/context,src/http/cookies.ts] [--tests test/context] [--limit 50] [--seed 1] [--minutes 30]
 *
 * Without --files: everything that decides (see `targets`). A mutant that no test notices is a survivor: it is shown with its line, and wants a test or an explanation.
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import ts from 'typescript'

/** What decides, and the tests that should notice when it decides otherwise; pure ones need no database, and are quick. @type {{ files: string[], tests: string[], isPure?: boolean }[]} */
const targets = [
  { files: ['src/authentication/verify-token.ts'], tests: ['test/attacks/properties'], isPure: true },
  { files: ['src/http/normalise-path.ts', 'src/http/cookies.ts', 'src/proxy/sent-path.ts'], tests: ['test/attacks/properties'], isPure: true },
  { files: ['src/coherence/memory.ts', 'src/coherence/snapshot.ts'], tests: ['test/coherence/memory', 'test/coherence/snapshot'], isPure: true },
  { files: ['src/authorization/permissions.ts'], tests: ['test/authorization/permissions'] },
  { files: ['src/authentication'], tests: ['test/authentication', 'test/attacks/properties'] },
  { files: ['src/context'], tests: ['test/context', 'test/attacks/placement-oracle', 'test/proxy/mandate-from'] },
  { files: ['src/authorization'], tests: ['test/authorization', 'test/http/order'] },
  { files: ['src/coherence'], tests: ['test/coherence/memory', 'test/coherence/snapshot', 'test/coherence/revocation', 'test/coherence/announcements', 'test/attacks/strangers'] },
  { files: ['src/proxy/request-headers.ts', 'src/proxy/response-headers.ts', 'src/proxy/caller-headers.ts'], tests: ['test/proxy/request-headers', 'test/proxy/raw-headers', 'test/proxy/responses'] },
  { files: ['src/proxy/sent-path.ts', 'src/proxy/route-table.ts', 'src/http/normalise-path.ts'], tests: ['test/proxy/sent-path', 'test/proxy/route-table', 'test/http/normalise-path', 'test/attacks/properties'] },
  { files: ['src/http/cookies.ts', 'src/http/cross-site.ts', 'src/http/refuse-ambiguous-headers.ts'], tests: ['test/http/cross-site', 'test/http/ambiguous-headers', 'test/attacks/properties'] },
]

const { values: options } = parseArgs({
  options: { files: { type: 'string' }, tests: { type: 'string' }, limit: { type: 'string' }, seed: { type: 'string', default: '1' }, minutes: { type: 'string', default: '600' } },
})

const root = path.resolve(import.meta.dirname, '..')
const swaps = new Map([
  ['===', '!=='], ['!==', '==='], ['<', '<='], ['<=', '<'], ['>', '>='], ['>=', '>'], ['&&', '||'], ['||', '&&'], ['??', '&&'], ['+', '-'], ['-', '+'], ['*', '/'],
])

/** @typedef {{ start: number, end: number, text: string, what: string }} Mutant */

/**
 * What can be changed at one place of the tree.
 * @param {ts.Node} node
 * @returns {Omit<Mutant, 'start' | 'end'>[]}
 */
function changesOf(node) {
  if (ts.isBinaryExpression(node)) {
    const operator = node.operatorToken.getText()
    const other = swaps.get(operator)
    const change = other === undefined ? [] : [{ text: `${node.left.getText()} ${other} ${node.right.getText()}`, what: `${operator} becomes ${other}` }]
    return ['&&', '||'].includes(operator) ? [...change, { text: node.left.getText(), what: `what is right of ${operator} is left out` }, { text: node.right.getText(), what: `what is left of ${operator} is left out` }] : change
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) return [{ text: node.operand.getText(), what: '! is left out' }]
  if (ts.isIfStatement(node)) return [] // by its condition, below
  if (node.parent && ts.isIfStatement(node.parent) && node.parent.expression === node) return [{ text: 'false', what: 'the condition is false' }, { text: 'true', what: 'the condition is true' }]
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [{ text: 'false', what: 'true becomes false' }]
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [{ text: 'true', what: 'false becomes true' }]
  if (ts.isNumericLiteral(node)) return [{ text: String(Number(node.text.replaceAll('_', '')) + 1), what: `${node.text} becomes one more` }]
  if (ts.isThrowStatement(node)) return [{ text: ';', what: 'nothing is thrown' }]
  if (ts.isConditionalExpression(node)) return [{ text: node.whenTrue.getText(), what: 'always the first' }, { text: node.whenFalse.getText(), what: 'always the second' }]
  if (ts.isExpressionStatement(node) && (ts.isCallExpression(node.expression) || ts.isBinaryExpression(node.expression))) return [{ text: ';', what: 'the statement is left out' }]
  if (ts.isArrayLiteralExpression(node) && node.elements.length > 1) {
    return node.elements.map((element, index) => ({ text: `[${node.elements.filter((_, at) => at !== index).map((one) => one.getText()).join(', ')}]`, what: `without ${element.getText().slice(0, 40)}` }))
  }
  return []
}

/** Where types are written nothing runs. @param {ts.Node} node */
const isOfTypes = (node) => ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isImportDeclaration(node) || ts.isModuleDeclaration(node)

/** @param {string} source @returns {Mutant[]} */
function mutantsOf(source) {
  const tree = ts.createSourceFile('x.ts', source, ts.ScriptTarget.Latest, true)
  /** @type {Mutant[]} */
  const mutants = []
  /** @param {ts.Node} node */
  const walk = (node) => {
    if (isOfTypes(node)) return
    // both by its kind and, as a condition, by its place
    const changes = node.parent && ts.isIfStatement(node.parent) && node.parent.expression === node && ts.isBinaryExpression(node)
      ? [...changesOf(node), { text: 'false', what: 'the condition is false' }, { text: 'true', what: 'the condition is true' }] : changesOf(node)
    for (const change of changes) mutants.push({ start: node.getStart(), end: node.getEnd(), ...change })
    ts.forEachChild(node, walk)
  }
  walk(tree)
  return mutants
}

/** Numbers that are the same for the same seed. @param {number} seed */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** @template T @param {T[]} items @param {() => number} next @returns {T[]} */
function shuffled(items, next) {
  const left = [...items]
  for (let index = left.length - 1; index > 0; index -= 1) {
    const other = Math.floor(next() * (index + 1))
    ;[left[index], left[other]] = [/** @type {T} */ (left[other]), /** @type {T} */ (left[index])]
  }
  return left
}

/** A copy of the project; what is installed is shared. @returns {Promise<string>} */
async function copyProject() {
  const copy = await mkdtemp(path.join(tmpdir(), 'mutants-'))
  const skipped = new Set(['node_modules', '.git', '.data', '.cache'])
  for (const name of await readdir(root)) if (!skipped.has(name)) await cp(path.join(root, name), path.join(copy, name), { recursive: true })
  await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'))
  await writeFile(path.join(copy, 'nothing.js'), 'export default () => {}\n')
  return copy
}

const withoutDatabase = ['--globalSetup', './nothing.js', '--globalTeardown', './nothing.js']

/** Runs tests until the first that fails. @param {string} copy @param {string[]} tests @param {boolean} isPure @returns {Promise<'passed' | 'failed' | 'late'>} */
function run(copy, tests, isPure) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', '--bail', '--silent', '-w', '1', ...(isPure ? withoutDatabase : []), ...tests], { cwd: copy, stdio: 'ignore', detached: true })
    const late = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
      resolve('late')
    }, 240_000)
    child.on('exit', (code) => {
      clearTimeout(late)
      resolve(code === 0 ? 'passed' : 'failed')
    })
  })
}

/** @param {string} place @returns {Promise<string[]>} */
async function filesOf(place) {
  if (!(await stat(path.join(root, place))).isDirectory()) return [place]
  return (await readdir(path.join(root, place))).filter((file) => file.endsWith('.ts')).map((file) => path.join(place, file))
}

const chosen = options.files === undefined ? targets : targets.flatMap(({ files, tests, isPure }) => {
  const wanted = options.files?.split(',') ?? []
  const some = wanted.filter((one) => files.some((file) => one === file || one.startsWith(`${file}/`)))
  return some.length > 0 ? [{ files: some, tests: options.tests?.split(',') ?? tests, isPure: isPure === true && options.tests === undefined }] : []
})
if (chosen.length === 0) throw new Error(`no tests are known for ${options.files}: choose from ${targets.flatMap(({ files }) => files).join(', ')}`)

const copy = await copyProject()
const endsAt = Date.now() + Number(options.minutes) * 60_000
const next = random(Number(options.seed))
let [killed, tried] = [0, 0]
/** @type {string[]} */
const survivors = []
try {
  for (const { files, tests, isPure = false } of chosen) {
    if (await run(copy, tests, isPure) !== 'passed') throw new Error(`the tests fail without a mutant: ${tests.join(' ')}`)
    const all = (await Promise.all((await Promise.all(files.map(filesOf))).flat().map(async (file) => {
      const source = await readFile(path.join(root, file), 'utf8')
      return mutantsOf(source).map((mutant) => ({ file, source, mutant }))
    }))).flat()
    const some = shuffled(all, next).slice(0, Number(options.limit ?? all.length))
    console.log(`${files.join(' ')}: ${some.length} of ${all.length} mutants, by ${tests.join(' ')}`)
    for (const { file, source, mutant: { start, end, text, what } } of some) {
      if (Date.now() > endsAt) break
      await writeFile(path.join(copy, file), source.slice(0, start) + text + source.slice(end))
      const outcome = await run(copy, tests, isPure)
      await writeFile(path.join(copy, file), source)
      tried += 1
      if (outcome === 'passed') survivors.push(`${file}:${source.slice(0, start).split('\n').length}: ${what}: ${source.slice(start, end).split('\n')[0]?.slice(0, 100)}`)
      else killed += 1
      if (outcome === 'passed') console.log(`survived  ${survivors.at(-1)}`)
    }
  }
} finally {
  await rm(copy, { recursive: true, force: true })
}
console.log(`${killed} of ${tried} killed (${Math.round(1000 * killed / Math.max(1, tried)) / 10} %)`)
