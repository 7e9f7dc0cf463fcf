import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.js'
import { normalisePath } from '../../src/http/normalise-path.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** The path as it is matched and sent on, or undefined where it is refused. */
function normalised(path: string): string | undefined {
  try {
    return normalisePath(path)
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'path_ambiguous') return undefined
    throw error
  }
}

/** Everything that `path` turns into when it is decoded again and again, as a careless upstream might. */
function decodings(path: string): string[] {
  const all = [path]
  for (let text = path; ;) {
    const next = text.replace(/%[0-9a-f]{2}/gi, (escape) =>
      String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
    )
    if (next === text) return all
    all.push(next)
    text = next
  }
}

const ambiguous = {
  'an encoded slash': ['/a%2fb', '/a%2Fb', '/%2f', '/a/%2f/b', '/a%2f..%2fb'],
  'a backslash': ['/a\\b', '/\\', '/a/..\\b', '\\a'],
  'an encoded backslash': ['/a%5cb', '/a%5Cb', '/%5c'],
  'a dot segment': ['/..', '/../a', '/a/..', '/a/../b', '/.', '/./a', '/a/.', '/a/./b', '/a/b/../../c'],
  'an encoded dot segment': ['/%2e%2e/a', '/%2E%2e', '/a/%2e', '/a/.%2e/b', '/a/%2e./b', '/%2e/'],
  'a dot segment with parameters': ['/..;/a', '/a/..;x=1/b', '/.;/a', '/a/%2e%2e;/b', '/a/..;'],
  'an empty segment': ['//', '//a', '/a//b', '/a//', '///', '//host.example/a'],
  NUL: ['/a%00', '/%00', '/a%00b/c', '/a\0b'],
  'a bad escape': ['/%', '/a%', '/a%2', '/a%zz', '/a%2gb', '/%%', '/%u002f', '/a%-1', '/a% 1'],
  'a double encoding': ['/a%252fb', '/a%252Fb', '/a%255cb', '/%252e%252e/a', '/a%2500'],
  'a triple encoding': ['/a%25252fb', '/a%25255cb', '/%25252e%25252e/a', '/a%252500', '/a%2525252fb'],
  'a double encoding whose digits are encoded': [
    '/%25%32%66',
    '/%25%32f',
    '/%252%66',
    '/a%25%35%63b',
    '/%25%32%65%25%32%65/a',
    '/a%25%30%30',
    '/%2525%32f',
    '/%25%32%35%32%66',
  ],
  'no slash at its beginning': ['', 'a', '*', 'http://host.example/a', '?x'],
  'bytes that are not UTF-8': ['/%ff', '/%c0%af', '/%c0%ae%c0%ae/', '/%e0%80%af', '/%ed%a0%80', '/%c3'],
  'characters that must be encoded': [
    '/a b',
    '/ä',
    '/東',
    '/a\tb',
    '/a\nb',
    '/a\x7f',
    '/\u202e',
    '/\uff0f',
    '/a\r\nX: y',
  ],
  'a fragment, which no request has': ['/a#b', '/a#', '/#/../a'],
}

const harmless: [string, string][] = [
  ['/', '/'],
  ['/a', '/a'],
  ['/a/', '/a/'],
  ['/a/b.c', '/a/b.c'],
  ['/.well-known/x', '/.well-known/x'],
  ['/...', '/...'],
  ['/a..b', '/a..b'],
  ['/..a', '/..a'],
  ['/a.', '/a.'],
  ['/%61', '/a'],
  ['/%7Euser', '/~user'],
  ['/%7euser', '/~user'],
  ['/a%2Db', '/a-b'],
  ['/a%2eb', '/a.b'],
  ['/%c3%a9', '/%C3%A9'],
  ['/a%20b', '/a%20b'],
  ['/a%3fb', '/a%3Fb'],
  ['/a%23b', '/a%23b'],
  ['/a%3bb', '/a%3Bb'],
  ['/100%25', '/100%25'],
  ['/a%2541', '/a%2541'],
  ['/a;b=c', '/a;b=c'],
  ["/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="],
]

/** Paths made of the pieces that trick normalisers. */
const trickyPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '.',
        '..',
        '%',
        '%25',
        '2',
        '5',
        '%32',
        '%35',
        '%66',
        '%46',
        'f',
        'F',
        '2f',
        '2F',
        'c',
        '%63',
        'e',
        '%65',
        '%2e',
        '%2E',
        '%2f',
        '%5c',
        '%00',
        '0',
        '%30',
        '\\',
        ';',
        'a',
        'auth',
        '%61',
        '%c3',
        '%a9',
        '%ff',
        '#',
        'é',
        ' ',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => `/${parts.join('')}`)

describe('a path', () => {
  describe.each(Object.entries(ambiguous))('with %s is refused', (_, paths) => {
    it.each(paths)('%j', (path) => expect(normalised(path)).toBeUndefined())
  })

  it.each(harmless)('%s is %s', (path, expected) => expect(normalised(path)).toBe(expected))

  it('once normalised stays as it is', () => {
    fc.assert(
      fc.property(trickyPath, (path) => {
        const once = normalised(path)
        if (once !== undefined) expect(normalised(once)).toBe(once)
      }),
      { numRuns: 20_000 },
    )
  })

  it('once normalised holds nothing that is refused, however often somebody decodes it', () => {
    fc.assert(
      fc.property(trickyPath, (path) => {
        const once = normalised(path)
        if (once === undefined) return
        expect(once).toMatch(/^\/[\x21-\x7e]*$/)
        expect(once).not.toMatch(/%(?![0-9A-F]{2})/)
        for (const decoded of decodings(once)) {
          expect(decoded.includes('\\') || decoded.includes('\0')).toBe(false)
          expect(decoded.split('/').length).toBe(once.split('/').length) // no slash was hidden
          expect(decoded).not.toMatch(/(?:^|\/)\.{1,2}(?:[/;]|$)/)
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('means the same whether letters and digits are escaped or not', () => {
    const plain = fc.stringMatching(/^[A-Za-z0-9_~-]{1,8}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, fc.boolean()), { minLength: 1, maxLength: 5 }), (segments) => {
        const escape = (text: string) =>
          text.replace(/./g, (character) => `%${character.charCodeAt(0).toString(16)}`)
        const written = segments
          .map(([segment, escaped]) => `/${escaped ? escape(segment) : segment}`)
          .join('')
        expect(normalised(written)).toBe(segments.map(([segment]) => `/${segment}`).join(''))
      }),
    )
  })
})

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

  it('what is matched is what the upstream gets', async () => {
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
