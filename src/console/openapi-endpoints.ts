import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Middleware } from '../http/endpoint/chain.js'
import { endpoint, sendAnswer, type Endpoint } from '../http/endpoint/endpoint.js'
import { writeHead } from '../http/head.js'
import { anyone } from '../http/endpoint/policy.js'

const path = new URL('../../openapi.yaml', import.meta.url)
const cacheSeconds = 60

/**
 * The description as it lies beside the program, and compressed: it is long, and says the same in many
 * places.
 */
async function readDescription(): Promise<{ content: string; compressed: Buffer }> {
  const content = await readFile(path, 'utf8')
  return { content, compressed: await promisify(gzip)(content, { level: 9 }) }
}

/** The description of all endpoints. */
export function openapiEndpoints(): Endpoint[] {
  let reading: ReturnType<typeof readDescription> | undefined
  const described = endpoint({
    method: 'get',
    path: '/openapi.yaml',
    summary: 'This description (OpenAPI 3.1)',
    access: anyone,
    answers: { 200: 'application/yaml' },
    handle: () => ({ status: 200 }),
  })
  const serve: Middleware = async (req, res) => {
    const { content, compressed } = await (reading ??= readDescription())
    const headers = { Vary: 'Accept-Encoding' }
    if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/i.test(req.headers['accept-encoding'] ?? '')) {
      sendAnswer(res, { status: 200, text: { type: 'application/yaml', content }, headers, cacheSeconds })
      return
    }
    writeHead(res, 200, [
      'Content-Type',
      'application/yaml; charset=utf-8',
      'Content-Encoding',
      'gzip',
      'Content-Length',
      String(compressed.byteLength),
      'Cache-Control',
      `public, max-age=${cacheSeconds}`,
      'Vary',
      'Accept-Encoding',
    ])
    res.end(compressed)
  }
  return [{ ...described, serve }]
}
