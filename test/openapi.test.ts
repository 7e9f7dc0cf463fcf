import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import express from 'express'
import { parse } from 'yaml'
import { sendRequest } from './support/http-client.js'
import { startTestGateway, type TestGateway } from './support/gateway.js'

type Documented = Record<string, Record<string, unknown>>

/** Pages for people, and what they are made of: no part of the API. */
const isPage = (template: string) =>
  template === '/' || template === '/docs' || template === '/console' || template.startsWith('/console/')

const methods = ['get', 'post', 'put', 'patch', 'delete'] as const

/** Notes every path that an Express application is told to serve, while `work` makes it. */
async function mountedPaths<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; paths: Set<string> }> {
  const paths = new Set<string>()
  const application = express.application as unknown as Record<string, (...args: unknown[]) => unknown>
  const spies = [...methods, 'all', 'use', 'route'].map((name) => {
    const original = application[name]!
    return jest.spyOn(application, name).mockImplementation(function mount(
      this: unknown,
      ...args: unknown[]
    ) {
      if (typeof args[0] === 'string' && (args.length > 1 || name === 'route')) paths.add(args[0])
      return original.apply(this, args)
    })
  })
  try {
    return { result: await work(), paths }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

describe('openapi.yaml', () => {
  let gateway: TestGateway
  let mounted: Set<string>
  let documented: Documented
  beforeAll(async () => {
    ;({ result: gateway, paths: mounted } = await mountedPaths(() => startTestGateway()))
    documented = (
      parse(await readFile(path.resolve(import.meta.dirname, '../openapi.yaml'), 'utf8')) as {
        paths: Documented
      }
    ).paths
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('describes every path that is mounted, and no other', () => {
    expect(mounted.size).toBeGreaterThan(15)
    expect(
      [...mounted]
        .map((one) => one.replace(/:(\w+)/g, '{$1}'))
        .filter((one) => !isPage(one))
        .sort(),
    ).toEqual(
      Object.keys(documented)
        .filter((one) => !isPage(one))
        .sort(),
    )
  })

  it('describes exactly the methods that each path answers', async () => {
    for (const [template, operations] of Object.entries(documented)) {
      const url = template.replace(/\{\w+\}/g, '00000000-0000-4000-8000-00000000ffff')
      const { status, headers } = await sendRequest(gateway.url, url, { method: 'OPTIONS' })
      const allowed = String(headers.allow)
        .split(', ')
        .filter((method) => method !== 'OPTIONS' && method !== 'HEAD')
        .map((method) => method.toLowerCase())
      expect([template, status, allowed.sort()]).toEqual([template, 204, Object.keys(operations).sort()])
      // other proxies understand three statuses, and 405 is none of them
      if (template === '/auth/verify') continue
      const isAnothers = (method: string) =>
        Object.entries(documented).some(
          ([other, its]) => method in its && new RegExp(`^${other.replace(/\{\w+\}/g, '[^/]+')}$`).test(url),
        )
      for (const method of methods.filter((one) => !isAnothers(one))) {
        const answer = await sendRequest(gateway.url, url, { method: method.toUpperCase() })
        expect([template, method, answer.status]).toEqual([template, method, 405])
      }
    }
  })

  it('describes what is there: each operation is met by more than the answer for what is not', async () => {
    for (const [template, operations] of Object.entries(documented)) {
      for (const method of Object.keys(operations)) {
        const answer = await sendRequest(
          gateway.url,
          template.replace(/\{\w+\}/g, '00000000-0000-4000-8000-00000000ffff'),
          { method: method.toUpperCase() },
        )
        expect([
          template,
          method,
          answer.status === 405 || answer.text.includes('There is nothing at this path'),
        ]).toEqual([template, method, false])
      }
    }
  })
})
