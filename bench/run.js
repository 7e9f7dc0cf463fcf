/**
 * `npm run bench [requests|revocations|scale|memory …] [--short]`: measures, prints tables, and with
 * `--write` puts them and a plot into docs/performance.md and docs/performance.svg.
 */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { plot } from './plot.js'
import { measureRequests } from './requests.js'
import { measureRevocations } from './revocations.js'
import { measureMemory, measureScale } from './scale.js'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean' }, write: { type: 'boolean' } },
})
const wanted = new Set(positionals.length > 0 ? positionals : ['requests', 'revocations', 'scale', 'memory'])
const short = values.short === true

/** A table in Markdown. */
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

const sections = [
  `Measured on ${cpus().length} cores of ${cpus()[0].model.trim()}, Node ${process.version}, ` +
    `${new Date().toISOString().slice(0, 10)}; the load comes from the same machine.`,
]
/** Adds a section and prints it. */
const say = (title, ...paragraphs) => {
  const text = [`## ${title}`, ...paragraphs].join('\n\n')
  sections.push(text)
  process.stdout.write(`\n${text}\n`)
}
process.stdout.write(`${sections[0]}\n`)

if (wanted.has('requests')) {
  const { rows, statements, turns, seconds } = await measureRequests(
    short ? { seconds: 2, turns: 2 } : { seconds: 4, turns: 5 },
  )
  say(
    'What a request costs',
    `Server CPU per request, median of ${turns} interleaved turns of ${seconds} s with 32 connections; ` +
      'everything on: rate limits, access line, context, permission. ' +
      'Ratios above 1 are cheaper than what they are compared with.',
    table(
      [
        'what',
        'µs CPU',
        'requests/s',
        'p99 ms',
        'of bare node:http',
        'of stock Express',
        'of undici (stream)',
        'of undici (dispatch)',
      ],
      rows,
    ),
    `Transactions of the database in ${seconds + 1.5} s: ${statements.idle} while nothing came, ` +
      `${statements.loaded} while ${statements.requests} requests did. The lease is renewed all the ` +
      'same, and while there is use to tell a node tells it once a second. No request waits for a ' +
      'statement.',
  )
  if (values.write)
    await writeFile(
      fileURLToPath(new URL('../docs/performance.svg', import.meta.url)),
      plot(
        rows.map(([name, micros]) => ({ name, value: Number(micros) })),
        'µs of server CPU per request',
      ),
    )
}
if (wanted.has('revocations')) {
  const rows = await measureRevocations(
    short ? { counts: [1, 3], rounds: 50 } : { counts: [1, 3, 8], rounds: 300 },
  )
  say(
    'How long a revocation takes',
    '`DELETE /system/tokens/{id}` until its answer; each token had been used on every node before, ' +
      'and was tried on every node after.',
    table(['nodes', 'p50 ms', 'p99 ms', 'revocations', 'accepted afterwards'], rows),
  )
}
if (wanted.has('scale')) {
  const rows = await measureScale(
    short
      ? { sizes: [1000, 20_000], seconds: 2, turns: 2, active: 500 }
      : { sizes: [1000, 100_000, 1_000_000], seconds: 3, turns: 5, active: 500 },
  )
  say(
    'How many users',
    'The same 500 active users, answered by the gateway itself.',
    table(['users', 'µs CPU', 'of the smallest'], rows),
  )
}
if (wanted.has('memory')) {
  const principals = short ? 3000 : 20_000
  say(
    'Memory',
    `A remembered login with its place in a mandate: ${await measureMemory({ principals })} bytes of ` +
      `resident memory, over ${principals} of them.`,
  )
}
if (values.write) {
  await writeFile(
    fileURLToPath(new URL('../docs/performance.md', import.meta.url)),
    `${[
      '# Performance',
      'Made by `npm run bench -- --write`. Machines are noisy: compare figures of one run, ' +
        'and ratios rather than figures.',
      '![What a request costs](performance.svg)',
      'Where the time goes: [profile.md](profile.md).',
      ...sections,
    ].join('\n\n')}\n`,
  )
}
