import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'

/** These listen for callers: the gateway, and the metrics of all workers, in the primary process. */
const forCallers = ['process/serve.ts', 'observability/metrics-server.ts']
const source = path.join(import.meta.dirname, '../../src')

describe('a server that a worker starts for itself', () => {
  it('takes a port of its own: workers share the others, and callers would meet it', async () => {
    const found: string[] = []
    for (const file of await readdir(source, { recursive: true })) {
      if (!file.endsWith('.ts') || forCallers.includes(file)) continue
      for (const [, options] of (await readFile(path.join(source, file), 'utf8')).matchAll(
        /\.listen\(([^)]*)\)/g,
      ))
        if (options?.includes('exclusive: true') !== true) found.push(`${file}: listen(${options})`)
    }
    expect(found).toEqual([])
  })
})
