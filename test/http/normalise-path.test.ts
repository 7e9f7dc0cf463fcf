import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { ambiguous, harmless } from '../support/paths.js'
import { codeOf, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('over the wire', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /: { upstream: own, auth: public }
  /closed: { upstream: own }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  // Characters that Node's own parser refuses never come to be a path.
  const sendable = Object.values(ambiguous)
    .flat()
    .filter((path) => path !== '' && path !== '?x' && !/[\0\t\n\r \x7f]/.test(path))

  it('an ambiguous path is 400, is answered without a token, and reaches no upstream', async () => {
    const before = upstream.received.length
    for (const path of sendable) {
      const answer = await sendRaw(
        gateway.url,
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      )
      expect([path, answer.status]).toEqual([path, 400])
      expect([path, codeOf(answer)]).toEqual([
        path,
        expect.stringMatching(/^(path_ambiguous|request_malformed)$/),
      ])
    }
    expect(upstream.received).toHaveLength(before)
  })

  it('the upstream gets the path that was matched', async () => {
    for (const [path, expected] of harmless.filter(([one]) => !one.startsWith('/.well-known'))) {
      const answer = await sendLines(gateway.url, `GET ${path}?q=%2f`)
      expect([path, answer.status]).toEqual([path, 200])
      expect(upstream.last().url).toBe(`${expected}?q=%2f`)
    }
  })

  it('no spelling of a closed path opens it', async () => {
    for (const path of [
      '/closed',
      '/%63losed',
      '/clos%65d/x',
      '/closed/',
      '/closed?x',
      '/closed#x',
      '/%63%6c%6f%73%65%64',
      '/./closed',
      '/a/../closed',
      '//closed',
      '/a/..;/closed',
      '/%2fclosed',
      '/closed%2f',
      '/%2e/closed',
      '/\\closed',
    ]) {
      expect([path, (await sendLines(gateway.url, `GET ${path}`)).status]).not.toEqual([path, 200])
    }
  })
})
