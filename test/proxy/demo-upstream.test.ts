import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startDemoUpstream, type DemoUpstream } from '../../src/proxy/demo-upstream.js'
import { mandates } from '../support/demo.js'
import { openSocket } from '../support/raw-http.js'

describe('the demo upstream', () => {
  let demo: DemoUpstream
  beforeAll(async () => {
    demo = await startDemoUpstream()
  })
  afterAll(async () => {
    await demo.stop()
  })

  it.each(['/api/crm/echo', '/api/crm/contacts'])(
    'outlives a client that goes away in the middle of its POST to %s',
    async (path) => {
      const socket = await openSocket(demo.url)
      socket.resume()
      // The end without the rest of the body: the connection is closed when that has been noticed.
      socket.end(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Mandate-Id: ${mandates.acme}\r\nContent-Length: 100\r\n\r\nhello`,
      )
      await once(socket, 'close')
      for (let round = 0; round < 5; round += 1) {
        const answer = await fetch(`${demo.url}/api/crm/contacts`, {
          headers: { 'X-Mandate-Id': mandates.acme },
        })
        expect(await answer.json()).toMatchObject({ mandateId: mandates.acme })
      }
    },
  )
})
