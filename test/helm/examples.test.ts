import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'
import { callerHeaders } from '../../src/proxy/caller-headers.js'

const deploy = path.resolve(import.meta.dirname, '../../deploy')
const read = (file: string) => readFile(path.join(deploy, file), 'utf8')
const sorted = (names: readonly string[]) => names.map((name) => name.toLowerCase()).sort()

interface Named {
  kind: string
  metadata: { name: string; annotations?: Record<string, string> }
}
const objectsOf = async <Kind>(file: string) =>
  parseAllDocuments(await read(`kubernetes/${file}`)).map((document) => document.toJS() as Named & Kind)

/** By these a client could say which request is decided on. */
const questions = ['x-original-uri', 'x-original-method', 'x-forwarded-uri', 'x-forwarded-method']

describe('the examples for Kubernetes let no client say who it is', () => {
  it('ingress-nginx overwrites each caller header, strips credentials, and names the request itself', async () => {
    const [service, , verify] = await objectsOf('ingress-nginx.yaml')
    const annotation = (name: string) =>
      service?.metadata.annotations?.[`nginx.ingress.kubernetes.io/${name}`] ?? ''
    const written = sorted(annotation('auth-response-headers').split(/,\s*/))
    for (const name of [...sorted([...callerHeaders]), ...questions, 'authorization', 'cookie'])
      expect(written).toContain(name)
    expect(new Set(written).size).toBe(written.length)
    expect([annotation('auth-url'), annotation('auth-method')]).toEqual([
      expect.stringMatching(/\/auth\/verify$/),
      'GET',
    ])
    expect(verify?.metadata.annotations).toEqual({
      'nginx.ingress.kubernetes.io/denylist-source-range': '0.0.0.0/0,::/0',
    })
  })

  it('Traefik has the middlewares of deploy/traefik/dynamic.yaml, in the same order', async () => {
    const objects = await objectsOf<{
      spec: { forwardAuth?: { address: string }; routes?: { middlewares: { name: string }[] }[] }
    }>('traefik.yaml')
    const { http } = parse(
      (await read('traefik/dynamic.yaml')).replace(
        'http://127.0.0.1:8080/auth/verify',
        'http://mandate-gateway.gateway.svc.cluster.local/auth/verify',
      ),
    ) as { http: { middlewares: Record<string, object>; routers: { crm: { middlewares: string[] } } } }
    for (const [name, middleware] of Object.entries(http.middlewares)) {
      expect(
        objects.find(({ kind, metadata }) => kind === 'Middleware' && metadata.name === name)?.spec,
      ).toEqual(middleware)
    }
    const crm = objects.find(({ kind, metadata }) => kind === 'IngressRoute' && metadata.name === 'crm')
    expect(crm?.spec.routes?.[0]?.middlewares.map(({ name }) => name)).toEqual(http.routers.crm.middlewares)
  })

  it('Envoy Gateway strips caller headers before it asks, and takes each from the answer', async () => {
    interface Spec {
      headers?: { earlyRequestHeaders: { remove: string[] } }
      rules?: { filters: { requestHeaderModifier: { remove: string[] } }[] }[]
      extAuth?: {
        failOpen: boolean
        headersToExtAuth: string[]
        http: { path: string; headersToBackend: string[] }
      }
    }
    const objects = await objectsOf<{ spec: Spec }>('envoy-gateway.yaml')
    const specOf = (kind: string, name: string) =>
      objects.find((one) => one.kind === kind && one.metadata.name === name)?.spec
    const removed = sorted(specOf('ClientTrafficPolicy', 'public')?.headers?.earlyRequestHeaders.remove ?? [])
    const said = ['x-mandate-id', 'x-instance-id'] // by these a client says where it wants to go
    for (const name of [
      ...sorted([...callerHeaders]).filter((one) => !said.includes(one)),
      ...questions,
      'x-forwarded-host',
    ])
      expect(removed).toContain(name)
    for (const name of said) expect(removed).not.toContain(name)
    expect(removed.length).toBeLessThanOrEqual(64)
    const { failOpen, headersToExtAuth = [], http } = specOf('SecurityPolicy', 'crm')?.extAuth ?? {}
    expect([failOpen, http?.path, sorted(http?.headersToBackend ?? [])]).toEqual([
      false,
      '/auth/verify',
      sorted([...callerHeaders]),
    ])
    expect(headersToExtAuth).toEqual(
      expect.arrayContaining([
        'cookie',
        'x-mandate-id',
        'x-instance-id',
        'origin',
        'sec-fetch-site',
        'x-forwarded-for',
      ]),
    )
    expect(headersToExtAuth.filter((name) => questions.includes(name))).toEqual([])
    expect(specOf('HTTPRoute', 'crm')?.rules?.[0]?.filters[0]?.requestHeaderModifier.remove).toEqual([
      'Authorization',
      'Cookie',
    ])
  })
})
