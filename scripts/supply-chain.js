/**
 * Looks at what is installed: licences, exact versions, and packages that would run a script when they are
 * installed. Exits 1 where something is not as it should be.
 */
import { readFile, readdir } from 'node:fs/promises'

/**
 * Licences that ask for no more than to be named; dev tools, and what is built into the pages, may have these
 * others. The font's (OFL) lets it go along as it is.
 */
const free = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  '0BSD',
  '(MIT AND Zlib)',
  '(MIT OR CC0-1.0)',
  'Apache-2.0 AND MIT',
  'PostgreSQL',
])
const freeForTools = new Set([
  ...free,
  'MPL-2.0',
  'CC-BY-4.0',
  'CC0-1.0',
  'Python-2.0',
  'OFL-1.1',
  'Unlicense',
])

const read = async (/** @type {string} */ file) =>
  JSON.parse(await readFile(new URL(`../${file}`, import.meta.url), 'utf8'))
/**
 * @type {{ packages: Record<string, { license?: string, dev?: boolean, hasInstallScript?: boolean, resolved?:
 * string, link?: boolean }> }}
 */
const { packages } = await read('package-lock.json')
/**
 * @type {{ version: string, dependencies: Record<string, string>, devDependencies: Record<string, string>,
 * optionalDependencies: Record<string, string>, allowScripts: Record<string, boolean> }}
 */
const own = await read('package.json')

/**
 * @typedef {{ name: string, version: string, dependencies?: Record<string, string>, optionalDependencies?:
 * Record<string, string> }} Workspace
 */
/** @type {Workspace[]} */
const workspaces = await Promise.all(
  (await readdir(new URL('../packages', import.meta.url))).map((name) =>
    read(`packages/${name}/package.json`),
  ),
)
/**
 * What the gateway and its packages both need must be the same version in both. @param {Workspace} workspace
 */
const differing = (workspace) => [
  ...(workspace.version === own.version
    ? []
    : [`${workspace.name}: its version ${workspace.version} is not the gateway's`]),
  ...Object.entries({ ...workspace.dependencies, ...workspace.optionalDependencies })
    .filter(([name, version]) => ({ ...own.dependencies, ...own.optionalDependencies })[name] !== version)
    .map(
      ([name, version]) =>
        `${workspace.name}: ${name} ${version} is not the version that package.json of the gateway names`,
    ),
]

const installed = Object.entries(packages)
  .filter(([place, { link }]) => place.includes('node_modules/') && !link)
  .map(([place, one]) => ({ name: place.slice(place.lastIndexOf('node_modules/') + 13), ...one }))
const faults = [
  ...workspaces.flatMap(differing),
  ...installed
    .filter(({ license, dev }) => !(dev ? freeForTools : free).has(license ?? ''))
    .map(({ name, license }) => `${name}: its licence ${license ?? '(none told)'} has not been agreed to`),
  ...Object.entries({ ...own.dependencies, ...own.devDependencies, ...own.optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: ${version} is no exact version`),
  ...installed
    .filter(({ name, hasInstallScript, dev }) => hasInstallScript && !dev && own.allowScripts[name] !== true)
    .map(({ name }) => `${name}: would run a script when it is installed, and is not under allowScripts`),
  ...installed
    .filter(({ resolved }) => resolved !== undefined)
    .map(
      ({ name }) =>
        `${name}: the lock file says where it is downloaded from; whoever installs it has a registry of their own`,
    ),
]
const scripts = installed
  .filter(({ hasInstallScript }) => hasInstallScript)
  .map(({ name, dev }) => `${name}${dev ? ' (a tool: its script is not needed and npm leaves it out)' : ''}`)
console.log(
  `${installed.length} packages, ${installed.filter(({ dev }) => !dev).length} of them at ` +
    `run time. With a script of installation: ${scripts.join(', ')}.`,
)
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
