import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Request, Response } from 'express'
import fc from 'fast-check'
import getRawBody from 'raw-body'
import type { GatewayError } from '../../src/errors.js'
import { readBody } from '../../src/http/body.js'

const maxBytes = 1024 * 1024

/** Reads the JSON body with our reader. Returns the value, or the status of the refusal. */
async function ours(req: IncomingMessage, res: unknown): Promise<unknown> {
  return await new Promise((resolve) => {
    const asked = req as Request
    readBody(['application/json'])(asked, res as Response, (error?: unknown) => {
      if (error === undefined) resolve({ value: asked.body as unknown })
      else resolve({ code: (error as GatewayError).code })
    })
  })
}

/** Reads the same body with raw-body, as body-parser does. */
async function theirs(req: IncomingMessage): Promise<unknown> {
  try {
    const text = await getRawBody(req, {
      length: req.headers['content-length'] ?? null,
      limit: maxBytes,
      encoding: 'utf8',
    })
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    if (error instanceof SyntaxError) return { code: 'body_invalid' }
    return {
      code: (error as { type?: string }).type === 'entity.too.large' ? 'body_too_large' : String(error),
    }
  }
}

let server: Server
let port: number
beforeAll(async () => {
  server = createServer((req, res) => {
    const reading = req.url === '/ours' ? ours(req, res) : theirs(req)
    void reading.then((result) => {
      req.resume()
      res.end(JSON.stringify(result))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

/** Sends the body in pieces, with a length or in chunks; returns what the reader made of it. */
async function send(path: string, pieces: Buffer[], withLength: boolean): Promise<unknown> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const sent = request({
    port,
    path,
    method: 'POST',
    agent: false,
    headers: {
      'Content-Type': 'application/json',
      ...(withLength ? { 'Content-Length': length } : { 'Transfer-Encoding': 'chunked' }),
    },
  })
  sent.on('error', () => undefined) // the server may respond and close before it has read everything
  const responded = once(sent, 'response') as Promise<[IncomingMessage]>
  for (const piece of pieces) sent.write(piece)
  sent.end()
  const [response] = await responded
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string
  return JSON.parse(text)
}

/** Cuts the text at the places, also within a character. */
function cut(text: string, places: number[]): Buffer[] {
  const bytes = Buffer.from(text)
  const at = [...new Set(places.map((place) => place % bytes.length))].sort((a, b) => a - b)
  return [0, ...at]
    .map((from, index) => bytes.subarray(from, at[index] ?? bytes.length))
    .filter((piece) => piece.length > 0)
}

const places = fc.array(fc.nat(1000), { maxLength: 4 })

describe('the body reader returns what raw-body returns', () => {
  it('for JSON of any content, cut anywhere, with a length and in chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), places, fc.boolean(), async (text, at, withLength) => {
        const pieces = cut(text, at)
        expect(await send('/ours', pieces, withLength)).toEqual(await send('/theirs', pieces, withLength))
      }),
      { numRuns: 150, seed: 17 },
    )
  })

  it('for text that is not JSON', async () => {
    for (const text of ['{', '{"a":1}}', 'nul', '[1,]', '{"a":"\\x"}', '"\u0001"']) {
      const results = await Promise.all(
        ['/ours', '/theirs'].map((path) => send(path, [Buffer.from(text)], true)),
      )
      expect(results).toEqual([{ code: 'body_invalid' }, { code: 'body_invalid' }])
    }
  })

  it.each([true, false])('up to a mebibyte and not a byte more (length told: %s)', async (withLength) => {
    const whole = Buffer.from(JSON.stringify('x'.repeat(maxBytes - 2)))
    const more = Buffer.from(JSON.stringify('x'.repeat(maxBytes - 1)))
    for (const path of ['/ours', '/theirs']) {
      expect(await send(path, [whole], withLength)).toEqual({ value: 'x'.repeat(maxBytes - 2) })
      expect(await send(path, [more], withLength)).toEqual({ code: 'body_too_large' })
    }
  })
})
