/**
 * Prints what runs as CycloneDX: `npm run sbom`. `npm sbom --omit dev` leaves out each package that a
 * development dependency needs, too, so this takes its whole list and keeps what the lock file says runs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** @typedef {{ 'bom-ref': string, name: string, version: string }} Component */
/** @typedef {{ components: Component[], dependencies: { ref: string, dependsOn?: string[] }[] }} Sbom */

const root = fileURLToPath(new URL('..', import.meta.url))
/** @type {{ packages: Record<string, { name?: string, version?: string, dev?: boolean }> }} */
const lock = JSON.parse(await readFile(new URL('../package-lock.json', import.meta.url), 'utf8'))

const nameOf = (/** @type {string} */ place) => place.slice(place.lastIndexOf('node_modules/') + 13)
const running = new Set(
  Object.entries(lock.packages)
    .filter(([, { dev }]) => dev !== true)
    .map(([place, { name, version }]) => `${name ?? nameOf(place)}@${version}`),
)

const child = spawn('npm', ['sbom', '--sbom-format', 'cyclonedx'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const [whole, [code]] = await Promise.all([
  /** @type {Promise<Sbom>} */ (json(child.stdout)),
  once(child, 'close'),
])
if (code !== 0) throw new Error(`npm sbom ended with ${code}`)

const components = whole.components.filter(({ name, version }) => running.has(`${name}@${version}`))
const kept = new Set(components.map((component) => component['bom-ref']))
const dependencies = whole.dependencies
  .filter(({ ref }, index) => index === 0 || kept.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }))
process.stdout.write(`${JSON.stringify({ ...whole, components, dependencies }, null, 2)}\n`)
