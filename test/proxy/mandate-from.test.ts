import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { instances, mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import {
  openRawWebSocket,
  openWebSocket,
  startSocketUpstream,
  type SocketUpstream,
} from '../support/web-sockets.js'

const { acme, globex } = mandates

describe('a route’s mandateFrom', () => {
  let upstream: Upstream
  let sockets: SocketUpstream
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    ;[upstream, sockets] = [await startUpstream(), await startSocketUpstream()]
    gateway = await startTestGateway({
      routes: `
upstreams:
  own: { targets: ['${upstream.url}'] }
  sockets: { targets: ['${sockets.url}'] }
routes:
  /header: { upstream: own, mandate: required, instance: optional }
  /query: { upstream: own, mandate: required, instance: optional, mandateFrom: [query] }
  /path: { upstream: own, mandate: required, mandateFrom: [path] }
  /path/deeper: { upstream: own, mandate: optional, mandateFrom: [path], strip: true }
  /host: { upstream: own, mandate: required, mandateFrom: [host] }
  /any: { upstream: own, mandate: optional, instance: optional, mandateFrom: [header, query, path, host, subprotocol] }
  /: { upstream: own, mandate: optional, mandateFrom: [path] }
  /anywhere: { upstream: own, mandate: required, mandateFrom: [header, query, path, host, subprotocol] }
  /installed: { upstream: own, instance: required, mandateFrom: [header, query, path, host, subprotocol] }
  /ws: { upstream: sockets, mandate: required, instance: optional, mandateFrom: [subprotocol, header] }
  /ws/plain: { upstream: sockets, mandate: required }
`,
    })
    ;({ token } = await tokenFor(gateway.database, 'alice'))
  })
  afterAll(async () => {
    await sockets.stop()
    await gateway.stop()
    await upstream.stop()
  })

  /** What the upstream was told, as [mandate, instance]; or the code of the refusal. */
  async function ask(
    path: string,
    { host = 'gateway.example', headers = [] as string[] } = {},
  ): Promise<string | [string | undefined, string | undefined]> {
    const before = upstream.received.length
    const answer = await sendRaw(
      gateway.url,
      [
        `GET ${path} HTTP/1.1`,
        `Host: ${host}`,
        'Connection: close',
        `Authorization: Bearer ${token}`,
        ...headers,
        '',
        '',
      ].join('\r\n'),
    )
    if (answer.status !== 200) {
      expect(upstream.received).toHaveLength(before)
      return codeOf(answer) ?? String(answer.status)
    }
    const { 'x-mandate-id': mandate, 'x-instance-id': instance } = upstream.last().headers
    return [mandate as string | undefined, instance as string | undefined]
  }

  it('is the headers alone where it is not set', async () => {
    expect(await ask('/header', { headers: [`X-Mandate-Id: ${acme}`] })).toEqual([acme, undefined])
    expect(await ask(`/header/${acme}?mandateId=${acme}`, { host: `${acme}.example` })).toBe(
      'mandate_required',
    )
    expect(
      await ask(`/header/${globex}?mandateId=${globex}&instanceId=${instances.globexCrm}`, {
        host: `${globex}.example`,
        headers: [`X-Mandate-Id: ${acme}`],
      }),
    ).toEqual([acme, undefined])
  })

  describe('of the query', () => {
    it('takes mandateId and instanceId, and checks them as it would the headers', async () => {
      expect(await ask(`/query?mandateId=${acme}`)).toEqual([acme, undefined])
      expect(
        await ask(
          `/query?a=1&mandateId=${acme.toUpperCase()}&instanceId=${instances.acmeCrm}#x`.replace('#x', ''),
        ),
      ).toEqual([acme, instances.acmeCrm])
      expect(await ask(`/query?mandateId=${mandates.initech}`)).toBe('mandate_disabled')
      expect(await ask(`/query?mandateId=${randomUUID()}`)).toBe('not_a_member')
      expect(await ask(`/query?mandateId=${globex}&instanceId=${instances.acmeCrm}`)).toBe(
        'no_instance_access',
      )
      expect(upstream.last().url).toBe(
        `/query?a=1&mandateId=${acme.toUpperCase()}&instanceId=${instances.acmeCrm}`,
      )
    })

    it('refuses what is no UUID, and takes an empty one for absent', async () => {
      for (const value of [
        'x',
        `{${acme}}`,
        `urn:uuid:${acme}`,
        `${acme},${acme}`,
        `%20${acme}`,
        `${acme}%00`,
      ])
        expect(await ask(`/query?mandateId=${value}`)).toMatch(
          /^(mandate_id_invalid|request_malformed|path_ambiguous)$/,
        )
      expect(await ask(`/query?mandateId=${acme}&instanceId=x`)).toBe('instance_id_invalid')
      expect(await ask('/query?mandateId=')).toBe('mandate_required')
      expect(await ask('/query')).toBe('mandate_required')
    })

    it.each([
      'MandateId',
      'mandateid',
      'MANDATEID',
      'mandate_id',
      'mandate-id',
      'mandate.id',
      'mandate%5fid',
      'mandate%20id',
      'mandate+id',
      'mandateId[]',
      'mandateId%5b%5d',
      'mandateId[0]',
      '[mandateId]',
      'mandateId%00',
      'mandate%c4%b1d',
    ])('refuses %s, which some service could read as mandateId', async (spelling) => {
      for (const query of [
        `${spelling}=${globex}`,
        `mandateId=${acme}&${spelling}=${globex}`,
        `${spelling}=${globex}&mandateId=${acme}`,
        `mandateId=${acme}&a=1;${spelling}=${globex}`,
        `mandateId=${acme}&${spelling}`,
      ]) {
        expect([query, await ask(`/query?${query}`)]).toEqual([query, 'header_ambiguous'])
      }
      expect(
        await ask(
          `/query?mandateId=${acme}&${spelling.replace(/mandate/i, 'INSTANCE')}=${instances.acmeCrm}`,
        ),
      ).toBe('header_ambiguous')
      // nothing is read there
      expect(await ask(`/header?${spelling}=${globex}`, { headers: [`X-Mandate-Id: ${acme}`] })).toEqual([
        acme,
        undefined,
      ])
    })

    it('refuses one behind a semicolon, and leaves other parameters alone', async () => {
      expect(await ask(`/query?mandateId=${acme};mandateId=${globex}`)).toBe('header_ambiguous')
      expect(await ask(`/query?mandateId=${acme}&a=1;mandateId=${globex}`)).toBe('header_ambiguous')
      expect(
        await ask(
          `/query?mandateId=${acme}&mandateIds=${globex}&mandate=x&id=1` +
            `&filter[mandateId]=${globex}&mandateId2=x&amandateId=x;b`,
        ),
      ).toEqual([acme, undefined])
    })

    it('refuses two that disagree, and takes two that agree', async () => {
      expect(await ask(`/query?mandateId=${acme}&mandateId=${globex}`)).toBe('header_ambiguous')
      expect(await ask(`/query?mandateId=${acme}&mandate%49d=${globex}`)).toBe('header_ambiguous')
      expect(await ask(`/query?mandateId=${acme}&mandateId=${acme}`)).toEqual([acme, undefined])
      for (const query of [
        `mandateId=${acme}&mandateId=`,
        `mandateId=&mandateId=${acme}`,
        `mandateId&mandateId=${acme}`,
        `mandateId=${acme}&instanceId=${instances.acmeCrm}&instanceId=`,
      ]) {
        expect([query, await ask(`/query?${query}`)]).toEqual([query, 'header_ambiguous'])
      }
      expect(
        await ask(
          `/query?mandateId=${acme}&instanceId=${instances.acmeCrm}&instanceId=${instances.acmeArchive}`,
        ),
      ).toBe('header_ambiguous')
    })

    it('does not look at a header that it does not name, and the service is told of none', async () => {
      expect(await ask(`/query?mandateId=${acme}`, { headers: [`X-Mandate-Id: ${globex}`] })).toEqual([
        acme,
        undefined,
      ])
      expect(await ask('/query', { headers: [`X-Mandate-Id: ${acme}`] })).toBe('mandate_required')
    })
  })

  describe('of the path', () => {
    it('takes the first segment after the prefix, where it looks like an id', async () => {
      expect(await ask(`/path/${acme}/contacts`)).toEqual([acme, undefined])
      expect(await ask(`/path/${globex}`)).toEqual([globex, undefined])
      expect(await ask(`/path/${acme}x`)).toBe('mandate_required')
      expect(await ask(`/path/contacts/${acme}`)).toBe('mandate_required')
      expect(await ask('/path')).toBe('mandate_required')
      expect(await ask(`/path/${mandates.initech}/x`)).toBe('mandate_disabled')
    })

    it('counts from the prefix of its own route, also where that is stripped', async () => {
      expect(await ask(`/path/deeper/${acme}/x`)).toEqual([acme, undefined])
      expect(upstream.last().url).toBe(`/${acme}/x`)
      expect(await ask('/path/deeper/x')).toEqual([undefined, undefined])
    })

    it('of a route of everything is the first segment', async () => {
      expect(await ask(`/${acme}/contacts`)).toEqual([acme, undefined])
      expect(await ask(`/${mandates.initech}`)).toBe('mandate_disabled')
      expect(await ask(`/contacts/${acme}`)).toEqual([undefined, undefined])
      expect(await ask('/')).toEqual([undefined, undefined])
    })

    it.each([
      ['without hyphens', acme.replaceAll('-', '')],
      ['in braces', `%7B${acme}%7D`],
      ['with a parameter', `${acme};v=1`],
      ['as a URN', `urn:uuid:${acme}`],
      ['in parentheses', `(${acme.replaceAll('-', '')})`],
    ])('that a service could take for an id is refused: %s', async (_name, written) => {
      expect(await ask(`/path/${written}/x`)).toMatch(/^(mandate_id_invalid|path_ambiguous)$/)
    })

    it('takes the same id in whatever way it is written', async () => {
      expect(await ask(`/path/${acme.toUpperCase()}/x`)).toEqual([acme, undefined])
      expect(await ask(`/path/%30${acme.slice(1)}/x`)).toEqual([acme, undefined])
      expect(upstream.last().url).toBe(`/path/${acme}/x`)
    })
  })

  it('of the host takes its first label, where it looks like an id', async () => {
    expect(await ask('/host', { host: `${acme}.app.example` })).toEqual([acme, undefined])
    expect(await ask('/host', { host: `${acme.toUpperCase()}.app.example:8443` })).toEqual([acme, undefined])
    expect(await ask('/host', { host: `x${acme}.app.example` })).toBe('mandate_required')
    expect(await ask('/host', { host: `app.${acme}.example` })).toBe('mandate_required')
    expect(await ask('/host', { host: 'app.example' })).toBe('mandate_required')
    expect(await ask('/host', { host: 'app.example', headers: [`X-Forwarded-Host: ${acme}.example`] })).toBe(
      'mandate_required',
    )
  })

  it('says in a refusal where the place is to be named', async () => {
    const detailOf = async (path: string) => {
      const answer = await sendRaw(
        gateway.url,
        [
          `GET ${path} HTTP/1.1`,
          'Host: gateway.example',
          'Connection: close',
          `Authorization: Bearer ${token}`,
          '',
          '',
        ].join('\r\n'),
      )
      return (JSON.parse(answer.body) as { detail: string }).detail
    }
    expect(await detailOf('/anywhere')).toBe(
      "Name the mandate in the header X-Mandate-Id or the parameter mandateId or the path's first " +
        "segment after the prefix or the host's first label or the subprotocol mandate.<id>",
    )
    expect(await detailOf('/installed')).toBe(
      'Name the feature instance in the header X-Instance-Id or the parameter ' +
        'instanceId or the subprotocol instance.<id>',
    )
    expect(await detailOf('/header')).toBe('Name the mandate in the header X-Mandate-Id')
  })

  it('of several refuses any two that disagree, whichever they are', async () => {
    const places: Record<string, (id: string) => { path: string; host?: string; headers?: string[] }> = {
      header: (id) => ({ path: '/any', headers: [`X-Mandate-Id: ${id}`] }),
      query: (id) => ({ path: `/any?mandateId=${id}` }),
      path: (id) => ({ path: `/any/${id}` }),
      host: (id) => ({ path: '/any', host: `${id}.example` }),
      subprotocol: (id) => ({ path: '/any', headers: [`Sec-WebSocket-Protocol: mandate.${id}`] }),
    }
    const askAll = async (...chosen: ReturnType<(typeof places)[string]>[]) => {
      const pathname = chosen
        .map(({ path }) => path.split('?')[0] ?? '')
        .reduce((longest, one) => (one.length > longest.length ? one : longest))
      const query = chosen
        .map(({ path }) => path.split('?')[1])
        .filter(Boolean)
        .join('&')
      const host = chosen.find((one) => one.host)?.host
      return await ask(pathname + (query ? `?${query}` : ''), {
        ...(host ? { host } : {}),
        headers: chosen.flatMap(({ headers = [] }) => headers),
      })
    }
    for (const [first, make] of Object.entries(places)) {
      expect([first, await askAll(make(acme))]).toEqual([first, [acme, undefined]])
      for (const [second, other] of Object.entries(places)) {
        if (first === second) continue
        expect([first, second, await askAll(make(acme), other(globex))]).toEqual([
          first,
          second,
          'header_ambiguous',
        ])
        expect([first, second, await askAll(make(acme), other(acme.toUpperCase()))]).toEqual([
          first,
          second,
          [acme, undefined],
        ])
      }
    }
    expect(
      await ask(`/any?instanceId=${instances.acmeCrm}`, {
        headers: [`X-Mandate-Id: ${acme}`, `X-Instance-Id: ${instances.acmeArchive}`],
      }),
    ).toBe('header_ambiguous')
    expect(await ask(`/any?instanceId=${instances.acmeCrm}`, { headers: [`X-Mandate-Id: ${acme}`] })).toEqual(
      [acme, instances.acmeCrm],
    )
    expect(await ask('/any')).toEqual([undefined, undefined])
  })

  describe('of the subprotocols', () => {
    const headers = () => ({ Authorization: `Bearer ${token}` })

    async function open(protocols: string[], more: Record<string, string> = {}) {
      const arriving = sockets.next()
      const client = await openWebSocket(`${gateway.url}/ws`, { ...headers(), ...more }, protocols)
      expect(client.status).toBe(101)
      const { req } = await arriving
      client.socket.terminate()
      return {
        chosen: client.socket.protocol,
        offered: req.headers['sec-websocket-protocol'],
        mandate: req.headers['x-mandate-id'],
        instance: req.headers['x-instance-id'],
      }
    }

    it('names the place, and hides that from the service', async () => {
      expect(await open([`mandate.${acme}`, 'chat', `instance.${instances.acmeCrm}`, 'other'])).toEqual({
        chosen: 'chat',
        offered: 'chat, other',
        mandate: acme,
        instance: instances.acmeCrm,
      })
    })

    it('chooses an offered one if the service chose none: a browser expects one that it offered', async () => {
      const arriving = sockets.nextRaw()
      const client = await openRawWebSocket(`${gateway.url}/ws`, {
        ...headers(),
        'Sec-WebSocket-Protocol': `mandate.${acme}`,
      })
      const service = await arriving
      expect(JSON.parse(service.head)).not.toHaveProperty('sec-websocket-protocol')
      expect(client.head).toMatch(new RegExp(`^sec-websocket-protocol: mandate\\.${acme}\r$`, 'im'))
      client.socket.destroy()
      const second = await openWebSocket(`${gateway.url}/ws`, headers(), [`mandate.${acme}`])
      expect([second.status, second.socket.protocol]).toEqual([101, `mandate.${acme}`])
      second.socket.terminate()
    })

    it('chooses none if none was offered', async () => {
      const client = await openRawWebSocket(`${gateway.url}/ws`, { ...headers(), 'X-Mandate-Id': acme })
      expect(client.head).toMatch(/^HTTP\/1\.1 101 /)
      expect(client.head).not.toMatch(/sec-websocket-protocol/i)
      client.socket.destroy()
    })

    it('is refused where it disagrees with itself or the header, or is no id', async () => {
      const refusal = async (protocols: string, more: Record<string, string> = {}) => {
        const before = sockets.count()
        const client = await openRawWebSocket(`${gateway.url}/ws`, {
          ...headers(),
          ...more,
          'Sec-WebSocket-Protocol': protocols,
        })
        await client.ended
        client.socket.destroy()
        expect(sockets.count()).toBe(before)
        return /"code":"(\w+)"/.exec(client.bytes().toString())?.[1]
      }
      expect(await refusal(`mandate.${acme}, mandate.${globex}`)).toBe('header_ambiguous')
      expect(await refusal(`mandate.${acme}`, { 'X-Mandate-Id': globex })).toBe('header_ambiguous')
      expect(await refusal('mandate.acme')).toBe('mandate_id_invalid')
      expect(await refusal(`mandate.${acme}, instance.1`)).toBe('instance_id_invalid')
      expect(await refusal('chat')).toBe('mandate_required')
      expect(await refusal(`mandate.${mandates.initech}`)).toBe('mandate_disabled')
    })

    it('is left alone on a route that does not name it', async () => {
      const arriving = sockets.next()
      const client = await openWebSocket(`${gateway.url}/ws/plain`, { ...headers(), 'X-Mandate-Id': acme }, [
        'chat',
        `mandate.${globex}`,
      ])
      const { req } = await arriving
      expect([
        req.headers['sec-websocket-protocol'],
        req.headers['x-mandate-id'],
        client.socket.protocol,
      ]).toEqual([`chat,mandate.${globex}`, acme, 'chat'])
      client.socket.terminate()
    })
  })
})
