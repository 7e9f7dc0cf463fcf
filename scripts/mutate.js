/**
 * Mutation testing of what decides: changes one thing at a time, in a copy of the project, and looks whether
 * the tests that own the file notice.
 *
 *   npm run mutate -- [--only memory,context] [--limit 60] [--seed 1] [--minutes 600]
 *
 * A mutant that no test notices is a survivor: it is shown with its line, and wants a test or an explanation
 * in docs/mutation.md. One that makes the tests hang is tried once more with twice the time, and one that
 * does not parse is not counted. The tests run without a mutant before a target and after it: where they
 * fail, nothing that they say counts.
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { compile } from './compile.js'
import startCluster from '../test/setup/start-cluster.js'
import stopCluster from '../test/setup/stop-cluster.js'

/**
 * What decides, by name: its files (or folders), and the tests that own them, the quickest first; after ` -t
 * `, which of their cases. @type {Record<string, { files: string[], tests: string[] }[]>}
 */
const targets = {
  memory: [
    {
      files: ['src/coherence/memory.ts', 'src/coherence/snapshot.ts'],
      tests: ['test/coherence/memory', 'test/coherence/snapshot'],
    },
  ],
  coherence: [
    {
      files: [
        'src/coherence/lease.ts',
        'src/coherence/commit-and-await-nodes.ts',
        'src/coherence/sweep-nodes.ts',
      ],
      tests: [
        'test/coherence/lease.test',
        'test/coherence/simulation -t the promise holds',
        'test/coherence/announcements',
        'test/coherence/revocation',
        'test/directory/granting',
      ],
    },
    {
      files: ['src/coherence/directory.ts'],
      tests: [
        'test/coherence/announcements',
        'test/coherence/lease.test',
        'test/attacks/strangers',
        'test/portal/gate',
        'test/portal/revocation',
        'test/coherence/revocation',
      ],
    },
    {
      files: ['src/coherence/streams.ts'],
      tests: [
        'test/coherence/streams.unit.test',
        'test/coherence/simulation -t the promise holds',
        'test/proxy/open-streams',
        'test/proxy/drained-streams',
        'test/proxy/websocket-revocation',
        'test/proxy/leaseless-streams',
      ],
    },
    {
      files: ['src/database/confirmed.ts', 'src/database/history.ts'],
      tests: ['test/coherence/simulation -t two primaries', 'test/coherence/revocation'],
    },
    {
      files: [
        'src/coherence/lease-connection.ts',
        'src/database/own-connection.ts',
        'src/coherence/writer.ts',
      ],
      tests: [
        'test/coherence/lease-connection',
        'test/coherence/announcements',
        'test/faults/lost-database',
        'test/faults/other-writers',
      ],
    },
  ],
  tokens: [
    {
      files: [
        'src/authentication/verify-token.ts',
        'src/authentication/authenticate.ts',
        'src/authentication/principal.ts',
      ],
      tests: [
        'test/authentication/principal',
        'test/authentication/authenticate',
        'test/attacks/properties',
        'test/login/logout.test',
        'test/login/service-accounts',
      ],
    },
    { files: ['src/authentication/token-keys.ts'], tests: ['test/authentication/token-keys'] },
    {
      files: ['src/authentication/portal-session.ts', 'src/authentication/current-client.ts'],
      tests: ['test/portal/gate'],
    },
  ],
  context: [
    { files: ['src/context/requested-place.ts'], tests: ['test/context/resolve', 'test/proxy/mandate-from'] },
    {
      files: [
        'src/context/decide-placement.ts',
        'src/context/counting-rules.ts',
        'src/context/resolve-context.ts',
      ],
      tests: [
        'test/context/counting',
        'test/context/resolve',
        'test/authorization/permissions',
        'test/authorization/explain',
        'test/observability/usage',
        'test/http/secrecy',
      ],
    },
  ],
  authorization: [
    {
      files: ['src/authorization/permissions.ts', 'src/authorization/rule-index.ts'],
      tests: ['test/authorization/permissions'],
    },
    {
      files: ['src/authorization/guards.ts'],
      tests: [
        'test/authorization/guards',
        'test/proxy/policies',
        'test/authorization/permissions',
        'test/authorization/explain',
      ],
    },
    // not explain-endpoints.ts: what it holds beside calls of these is the form of questions and answers,
    // which openapi.yaml shows and its tests read
    {
      files: ['src/authorization/explain.ts', 'src/authorization/denials.ts'],
      tests: ['test/authorization/denials', 'test/authorization/explain', 'test/proxy/explain-route'],
    },
  ],
  headers: [
    {
      files: ['src/proxy/request-headers.ts', 'src/proxy/caller-headers.ts'],
      tests: [
        'test/proxy/request-headers',
        'test/proxy/raw-headers',
        'test/http/forwarded-for',
        'test/proxy/websocket.test',
        'test/proxy/trailers-and-ranges',
        'test/proxy/mandate-from',
        'test/portal/routes',
        'test/http/malformed',
        'test/observability/tracing',
      ],
    },
    {
      files: ['src/proxy/response-headers.ts'],
      tests: [
        'test/proxy/responses',
        'test/proxy/raw-headers',
        'test/proxy/trailers-and-ranges',
        'test/http/cors',
        'test/http/strict-transport',
      ],
    },
  ],
  paths: [
    { files: ['src/http/normalise-path.ts'], tests: ['test/http/normalise-path', 'test/attacks/properties'] },
    {
      files: ['src/proxy/sent-path.ts', 'src/proxy/route-table.ts'],
      tests: [
        'test/proxy/route-table',
        'test/proxy/sent-path',
        'test/attacks/properties',
        'test/portal/routes',
      ],
    },
  ],
  audit: [
    {
      files: [
        'src/audit/chain.ts',
        'src/audit/verify-chain.ts',
        'src/audit/checkpoint.ts',
        'src/audit/sealer.ts',
        'src/audit/personal.ts',
      ],
      tests: ['test/audit/personal', 'test/audit/chain', 'test/audit/archive', 'test/audit/events'],
    },
    {
      files: ['src/audit/spill.ts', 'src/audit/audit-log.ts', 'src/audit/fold-refusals.ts'],
      tests: ['test/audit/audit-log', 'test/audit/events', 'test/attacks/audit'],
    },
  ],
  browsers: [
    {
      files: ['src/http/cookies.ts'],
      tests: [
        'test/attacks/properties',
        'test/login/login.test',
        'test/login/refresh.test',
        'test/http/cross-site',
        'test/portal/enter',
      ],
    },
    {
      files: ['src/http/cross-site.ts', 'src/http/refuse-ambiguous-headers.ts'],
      tests: [
        'test/http/cross-site',
        'test/http/ambiguous-headers',
        'test/proxy/verify',
        'test/portal/preview',
        'test/login/sign-in-attacks',
        'test/proxy/websocket.test',
      ],
    },
  ],
}

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    limit: { type: 'string' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '600' },
  },
})

const root = path.resolve(import.meta.dirname, '..')
const swaps = new Map([
  ['===', '!=='],
  ['!==', '==='],
  ['<', '<='],
  ['<=', '<'],
  ['>', '>='],
  ['>=', '>'],
  ['&&', '||'],
  ['||', '&&'],
  ['??', '&&'],
  ['+', '-'],
  ['-', '+'],
  ['*', '/'],
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
    const change =
      other === undefined
        ? []
        : [
            {
              text: `${node.left.getText()} ${other} ${node.right.getText()}`,
              what: `${operator} becomes ${other}`,
            },
          ]
    return ['&&', '||'].includes(operator)
      ? [
          ...change,
          { text: node.left.getText(), what: `what is right of ${operator} is left out` },
          { text: node.right.getText(), what: `what is left of ${operator} is left out` },
        ]
      : change
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken)
    return [{ text: node.operand.getText(), what: '! is left out' }]
  if (ts.isIfStatement(node)) return [] // by its condition, below
  if (node.parent && ts.isIfStatement(node.parent) && node.parent.expression === node)
    return [
      { text: 'false', what: 'the condition is false' },
      { text: 'true', what: 'the condition is true' },
    ]
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [{ text: 'false', what: 'true becomes false' }]
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [{ text: 'true', what: 'false becomes true' }]
  if (ts.isNumericLiteral(node)) {
    // a second of 1001 ms is as good
    const other = Number(node.text.replaceAll('_', '')) > 1 ? '0' : `${Number(node.text) + 1}`
    return [{ text: other, what: `${node.text} becomes ${other}` }]
  }
  if (ts.isThrowStatement(node)) return [{ text: ';', what: 'nothing is thrown' }]
  if (ts.isConditionalExpression(node))
    return [
      { text: node.whenTrue.getText(), what: 'always the first' },
      { text: node.whenFalse.getText(), what: 'always the second' },
    ]
  if (
    ts.isExpressionStatement(node) &&
    (ts.isCallExpression(node.expression) || ts.isBinaryExpression(node.expression))
  )
    return [{ text: ';', what: 'the statement is left out' }]
  if (ts.isArrayLiteralExpression(node) && node.elements.length > 1) {
    return node.elements.map((element, index) => ({
      text: `[${node.elements
        .filter((_, at) => at !== index)
        .map((one) => one.getText())
        .join(', ')}]`,
      what: `without ${element.getText().slice(0, 40)}`,
    }))
  }
  return []
}

/** Where types are written nothing runs. @param {ts.Node} node */
const isOfTypes = (node) =>
  ts.isTypeNode(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isImportDeclaration(node) ||
  ts.isModuleDeclaration(node)

/** @param {string} source @returns {Mutant[]} */
function mutantsOf(source) {
  const tree = ts.createSourceFile('x.ts', source, ts.ScriptTarget.Latest, true)
  /** @type {Mutant[]} */
  const mutants = []
  /** @param {ts.Node} node */
  const walk = (node) => {
    if (isOfTypes(node)) return
    // both by its kind and, as a condition, by its place
    const changes =
      node.parent &&
      ts.isIfStatement(node.parent) &&
      node.parent.expression === node &&
      ts.isBinaryExpression(node)
        ? [
            ...changesOf(node),
            { text: 'false', what: 'the condition is false' },
            { text: 'true', what: 'the condition is true' },
          ]
        : changesOf(node)
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
  for (const name of await readdir(root))
    if (!skipped.has(name)) await cp(path.join(root, name), path.join(copy, name), { recursive: true })
  await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'))
  return copy
}

/**
 * Tests run a file of src/ as it is, or start the program that is made of it. @param {string} copy @param
 * {string} file @param {string} text
 */
async function put(copy, file, text) {
  await writeFile(path.join(copy, file), text)
  await compile(path.join(copy, 'src'), path.join(copy, 'dist'), path.relative('src', file))
}

/**
 * Runs tests until the first that fails. @param {string} copy @param {string[]} tests @param {number}
 * withinMs @returns {Promise<'passed' | 'failed' | 'late'>}
 */
function run(copy, tests, withinMs) {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        '--bail',
        '--silent',
        '-w',
        '1',
        '--cacheDirectory',
        '.cache/jest',
        '--testTimeout',
        '15000',
        ...tests.flatMap((test) => test.split(/ (?=-t )|(?<= -t) /)),
      ],
      { cwd: copy, stdio: 'ignore', detached: true },
    )
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, withinMs)
    child.on('exit', (code) => {
      clearTimeout(late)
      resolve(isLate ? 'late' : code === 0 ? 'passed' : 'failed')
    })
  })
}

/**
 * One after the other, so that quick tests spare the slow ones; each within what it may take. @param {string}
 * copy @param {string[]} tests @param {Map<string, number>} limits
 */
async function isNoticed(copy, tests, limits) {
  for (const test of tests) {
    const withinMs = limits.get(test) ?? 60_000
    let outcome = await run(copy, [test], withinMs)
    if (outcome === 'late') outcome = await run(copy, [test], 2 * withinMs) // the machine may have been busy
    if (outcome !== 'passed') return true
  }
  return false
}

/** @param {string} place @returns {Promise<string[]>} */
async function filesOf(place) {
  if (!(await stat(path.join(root, place))).isDirectory()) return [place]
  return (await readdir(path.join(root, place)))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.join(place, file))
}

/** @param {string} source */
const parses = (source) =>
  (
    ts.transpileModule(source, {
      reportDiagnostics: true,
      compilerOptions: { target: ts.ScriptTarget.Latest, module: ts.ModuleKind.ESNext },
    }).diagnostics ?? []
  ).length === 0

/** @param {{ files: string[], tests: string[] }} part */
async function mutantsOfPart({ files, tests }) {
  const all = await Promise.all(
    (await Promise.all(files.map(filesOf))).flat().map(async (file) => {
      const source = await readFile(path.join(root, file), 'utf8')
      return mutantsOf(source)
        .map(({ start, end, text, what }) => ({
          file,
          source,
          tests,
          mutated: source.slice(0, start) + text + source.slice(end),
          shown: [
            `${file}:${source.slice(0, start).split('\n').length}`,
            what,
            source.slice(start, end).split('\n')[0]?.slice(0, 100),
          ].join(': '),
        }))
        .filter(({ mutated }) => mutated !== source && parses(mutated))
    }),
  )
  return all.flat()
}

/**
 * What each test may take when something is changed. @param {string[]} tests @returns {Promise<Map<string,
 * number>>}
 */
async function mustPass(tests) {
  /** @type {Map<string, number>} */
  const limits = new Map()
  for (const test of tests) {
    const begin = performance.now()
    if ((await run(copy, [test], 600_000)) !== 'passed') throw new Error(`fails without a mutant: ${test}`)
    limits.set(test, 10_000 + 4 * (performance.now() - begin))
  }
  return limits
}

const chosen = options.only?.split(',') ?? Object.keys(targets)
const unknown = chosen.filter((name) => targets[name] === undefined)
if (unknown.length > 0)
  throw new Error(`${unknown.join(', ')}: choose from ${Object.keys(targets).join(', ')}`)

await startCluster() // one for all: the tests find it by their environment
const copy = await copyProject()
const endsAt = Date.now() + Number(options.minutes) * 60_000
try {
  for (const name of chosen) {
    const parts = targets[name] ?? []
    const tests = [...new Set(parts.flatMap((part) => part.tests))]
    const limits = await mustPass(tests)
    const all = (await Promise.all(parts.map(mutantsOfPart))).flat()
    const some = shuffled(all, random(Number(options.seed))).slice(0, Number(options.limit ?? all.length))
    console.log(`${name}: ${some.length} of ${all.length} mutants`)
    let [killed, tried] = [0, 0]
    for (const { file, source, mutated, tests: own, shown } of some) {
      if (Date.now() > endsAt) break
      await put(copy, file, mutated)
      const noticed = await isNoticed(copy, own, limits)
      await put(copy, file, source)
      tried += 1
      if (noticed) killed += 1
      else console.log(`survived  ${shown}`)
    }
    await mustPass(tests)
    console.log(
      `${name}: ${killed} of ${tried} killed (${Math.round((1000 * killed) / Math.max(1, tried)) / 10} %)`,
    )
  }
} finally {
  await rm(copy, { recursive: true, force: true })
  await stopCluster()
}
