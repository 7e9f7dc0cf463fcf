import { readFile } from 'node:fs/promises'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { anyone } from '../http/policy.js'

/** The description of all endpoints, as it lies beside the program. */
export function openapiEndpoints(): Endpoint[] {
  let reading: Promise<string> | undefined
  const read = () => reading ??= readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')
  return [
    endpoint({
      method: 'get',
      path: '/openapi.yaml',
      summary: 'This description (OpenAPI 3.1)',
      access: anyone,
      answers: { 200: 'application/yaml' },
      handle: async () => ({ status: 200, text: { type: 'application/yaml', content: await read() }, cacheSeconds: 60 }),
    }),
  ]
}
