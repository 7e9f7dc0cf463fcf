/**
 * Runs all checks at once, and says of each what it found: `npm run check`. Ends with 1 where one of them
 * failed.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** @param {string} name of a script of package.json */
async function run(name) {
  const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'] })
  const code = new Promise((resolve) => {
    child.once('close', resolve)
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const isWell = (await code) === 0
  process.stdout.write(`${stdout}${stderr}${name}: ${isWell ? 'well' : 'failed'}\n`)
  return isWell
}

const areWell = await Promise.all(
  [
    'check:format',
    'check:types',
    'check:lint',
    'check:dead',
    'check:supply',
    'check:patterns',
    'check:openapi',
  ].map(run),
)
process.exitCode = areWell.every(Boolean) ? 0 : 1
