import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { html, languageOf, page, wantsHtml } from '../../src/http/pages/html.js'

const asking = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage

describe('html', () => {
  it('escapes text, in content and in attributes', () => {
    expect(html`<a title="${`"'<&>`}">${'<script>&'}</a>`.markup).toBe(
      '<a title="&quot;&#39;&lt;&amp;&gt;">&lt;script&gt;&amp;</a>',
    )
  })

  it('takes markup as it is, alone and in lists, and nothing for what is absent', () => {
    const items = ['<a>', 'b'].map((one) => html`<li>${one}</li>`)
    expect(html`<ul>${items}</ul>${undefined}${null}${false}${0}`.markup).toBe(
      '<ul><li>&lt;a&gt;</li><li>b</li></ul>0',
    )
  })

  it('does not read a replacement pattern out of text', () => {
    expect(html`<p>${'$& $1 $`'}</p>`.markup).toBe('<p>$&amp; $1 $`</p>')
  })
})

describe('a page', () => {
  const shown = page({
    language: 'en',
    title: 'Title <b>',
    content: html`<p>Content</p>`,
    styles: '.own { color: red }',
    headers: { 'X-Own': '1' },
  })

  it('allows its own style by hash and nothing else', () => {
    const content = shown.text?.content ?? ''
    const style = /<style>([^]*)<\/style>/.exec(content)?.[1] ?? ''
    expect(style).toContain('.own')
    expect(shown.headers?.['Content-Security-Policy']).toBe(
      `default-src 'none'; style-src ` +
        `'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; ` +
        `frame-ancestors 'none'; base-uri 'none'`,
    )
    expect(shown.headers).toMatchObject({ 'Referrer-Policy': 'strict-origin', 'X-Own': '1' })
    expect(content).toContain('<h1>Title &lt;b&gt;</h1>')
    expect(content).toContain('<html lang="en">')
  })
})

describe('the language of a page', () => {
  it.each([
    [undefined, 'en'],
    ['de', 'de'],
    ['de-CH, en;q=0.8', 'de'],
    ['en-GB,en;q=0.9,de;q=0.8', 'en'],
    ['xx, de;q=0.5', 'de'],
    ['de;q=0', 'en'],
    ['en;q=0.2, de;q=0.7', 'de'],
    ['*', 'en'],
    ['nonsense;;;', 'en'],
    ['DE-at', 'de'],
    ['de;q=NaN', 'en'],
  ])('of %s is %s', (given, language) => {
    expect(languageOf(asking(given === undefined ? {} : { 'accept-language': given }))).toBe(language)
  })
})

it('a page is for those who ask for one', () => {
  expect(wantsHtml(asking({ accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }))).toBe(true)
  for (const accept of ['application/json', '*/*', '']) expect(wantsHtml(asking({ accept }))).toBe(false)
  expect(wantsHtml(asking({}))).toBe(false)
})
