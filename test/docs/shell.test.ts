import { mkdir, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { allFences, type Fence } from '../support/fences.js'
import { cleanUpProcesses, startGatewayProcess, type GatewayProcess } from '../support/gateway-process.js'
import { copyProject } from '../support/project-copy.js'
import { openShell, type Shell } from '../support/shell.js'

const fences = (await allFences()).filter(
  ({ language, note }) => ['console', 'sh'].includes(language) && note?.startsWith('not run') !== true,
)
const files = [...new Set(fences.map(({ file }) => file))]

/** One command of a block, with the output that the document shows. */
interface Command {
  text: string
  line: number
  shown: string
}

/**
 * In a `console` block a line after `$ ` is a command and the others are output; in a `sh` block each line is
 * a command.
 */
function commandsOf({ language, text, line }: Fence): Command[] {
  const commands: Command[] = []
  for (const [index, written] of text.split('\n').entries()) {
    const [, command] = /^\$ (.*)$/.exec(written) ?? []
    const last = commands.at(-1)
    if (command !== undefined) commands.push({ text: command, line: line + index, shown: '' })
    else if (language === 'console' && last) last.shown += `${written}\n`
    else if (language === 'sh' && written.trim() !== '')
      commands.push({ text: written, line: line + index, shown: '' })
  }
  return commands
}

/** What differs from one run to the next: ids, times, ports and counts. */
const variable: [RegExp, string][] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME'],
  [/127\.0\.0\.1:\d+/g, 'ADDRESS'],
  [/"(processId|waitedMs|epoch|lag|expires_in)":"?[\d.]+"?/g, '"$1":NUMBER'],
]

const fixed = (text: string) =>
  variable.reduce((sum, [pattern, name]) => sum.replace(pattern, name), text.trim())

/** A pattern of what a document shows, where `…` stands for anything. */
function patternOf(shown: string): RegExp {
  const escaped = fixed(shown)
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('[^]*')}$`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

describe.each(files)('%s', (file) => {
  let folder = ''
  let shell: Shell | undefined
  let gateway: GatewayProcess | undefined
  afterEach(async () => {
    await shell?.end()
    shell = undefined
  })
  afterAll(async () => {
    gateway?.child.kill('SIGTERM')
    await gateway?.ended
    await cleanUpProcesses()
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  })

  it('has commands that work as they stand, and print what it shows', async () => {
    folder = await copyProject()
    await mkdir(path.join(folder, 'bin'))
    await symlink(path.join(folder, 'dist/cli.js'), path.join(folder, 'bin/mandate-gateway'))
    const port = await freePort()
    const { PATH = '' } = process.env
    const environment = {
      PATH: `${path.join(folder, 'bin')}:${PATH}`,
      HOME: folder,
      DATA_DIR: path.join(folder, '.data'),
    }
    gateway = startGatewayProcess(
      { ...environment, PORT: String(port), GATEWAY_ROUTES_WATCH: 'true' },
      [process.execPath, 'dist/main.js'],
      folder,
    )
    await gateway.says(/is ready/)
    shell = openShell(folder, { ...environment, PORT: '0' })

    const differing: unknown[] = []
    for (const fence of fences.filter((one) => one.file === file)) {
      const [, until] = /^until: (.*)$/.exec(fence.note ?? '') ?? []
      for (const command of commandsOf(fence)) {
        const text = command.text
          .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
          .replaceAll(/ \/backups\b/g, ` ${folder}/backups`)
        const { exitCode, output } = await shell.run(
          text,
          until === undefined ? undefined : new RegExp(until),
        )
        const isAsShown =
          fence.language === 'sh'
            ? exitCode === 0 || until !== undefined
            : patternOf(command.shown).test(fixed(output))
        if (!isAsShown)
          differing.push({
            at: `${file}:${command.line}`,
            command: text,
            exitCode,
            shown: command.shown,
            output,
          })
      }
    }

    expect(differing).toEqual([])
  }, 180_000)
})
