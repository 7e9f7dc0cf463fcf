import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { languages, type Language } from '../../domain/languages.js'
import type { Answer } from '../endpoint/endpoint.js'

/** Markup that may be sent as it is: only `html` makes it. */
export class Html {
  constructor(readonly markup: string) {}
}

/** What may stand in a template: text is escaped, markup is not, and what is absent leaves nothing. */
export type Insertion = string | number | Html | readonly Html[] | undefined | null | false

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function asMarkup(value: Insertion): string {
  if (value === undefined || value === null || value === false) return ''
  if (value instanceof Html) return value.markup
  if (typeof value === 'object') return value.map(({ markup }) => markup).join('')
  return String(value).replace(/[&<>"']/g, (found) => escapes[found] ?? '')
}

/** A template of markup: html`<p class="${name}">${text}</p>`. Attributes must be in quotes. */
export function html(parts: TemplateStringsArray, ...values: Insertion[]): Html {
  return new Html(
    parts.map((part, index) => (index === 0 ? part : asMarkup(values[index - 1]) + part)).join(''),
  )
}

/**
 * Returns the language with a file in `locales/` that `Accept-Language` (RFC 9110 §12.5.4) prefers, by its
 * primary subtag; English where it names none of them.
 */
export function languageOf(req: Pick<IncomingMessage, 'headers'>): Language {
  let [best, bestQuality]: [Language, number] = ['en', 0]
  for (const range of (req.headers['accept-language'] ?? '').toLowerCase().split(',')) {
    const [, language = '', weight = '1'] =
      /^\s*([a-z]{2})(?:-[a-z0-9-]+)?\s*(?:;\s*q=([0-9.]+)\s*)?$/.exec(range) ?? []
    const quality = Number(weight)
    if (languages.includes(language) && quality > bestQuality) [best, bestQuality] = [language, quality]
  }
  return best
}

/** Whether a person looks at the answer: a program asks for JSON, or says nothing. */
export const wantsHtml = (req: Pick<IncomingMessage, 'headers'>) =>
  /\btext\/html\b/i.test(req.headers.accept ?? '')

/**
 * Whether a browser goes to a page (a link, a form, the address bar), so that a person sees the answer.
 * Browsers send `Sec-Fetch-Mode` over https alone; without it `Accept` decides.
 */
export function isNavigation(req: Pick<IncomingMessage, 'headers'>): boolean {
  const mode = req.headers['sec-fetch-mode']
  return wantsHtml(req) && (mode === undefined || mode === 'navigate')
}

const style = `
:root {
  color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fff; --ground: #f3f5f8;
  --line: #c9d0da; --accent: #1f5fbf; --on-accent: #fff
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8ecf2; --soft: #a3aebd; --paper: #1b212b; --ground: #11151b; --line: #3b4554;
    --accent: #8ab4f8; --on-accent: #10151c
  }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere
}
main {
  max-width: 30rem; margin: 10vh auto; padding: 2rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: .75rem
}
main.wide { max-width: 60rem; margin: 2rem auto }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25 }
label { display: block; margin-top: 1rem; font-weight: 600 }
input {
  width: 100%; margin-top: .25rem; padding: .6rem; font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--soft); border-radius: .4rem
}
button, a.button {
  display: inline-block; margin-top: 1.25rem; padding: .6rem 1.2rem; font: inherit;
  font-weight: 600; color: var(--on-accent); background: var(--accent); border: 0;
  border-radius: .4rem; cursor: pointer; text-decoration: none
}
a { color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.note { color: var(--soft); font-size: .9rem }
.fault { margin-top: 1rem; padding: .6rem .8rem; border-left: 4px solid #c0392b; background: var(--ground) }
`

interface Page {
  status?: number
  language: Language
  title: string
  /** What stands below the title. */
  content: Html
  /** Styles beside those that all pages have. */
  styles?: string
  /** True for tables and lists, which want more than a column. */
  wide?: boolean
  headers?: Record<string, string>
}

const sourceOf = (styles: string) => `'sha256-${createHash('sha256').update(styles).digest('base64')}'`

/**
 * What a page's browser may do: show it, and send its forms back here. No script, no frame; its address,
 * which may hold the secret of a link, to nobody, not even to a service on this origin. Its origin it does
 * say (`strict-origin`): with `no-referrer` forms would come from the origin `null`.
 */
const headersOf = (styles: string) => ({
  'Content-Security-Policy':
    `default-src 'none'; style-src ${sourceOf(styles)}; form-action 'self'; ` +
    `frame-ancestors 'none'; base-uri 'none'`,
  'Referrer-Policy': 'strict-origin',
})

/**
 * A whole page of the gateway's own, as an answer: its layout, and headers that let it do nothing but what it
 * shows.
 */
export function page({
  status = 200,
  language,
  title,
  content,
  styles = '',
  wide = false,
  headers = {},
}: Page): Answer {
  const sheet = style + styles
  const { markup } = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(sheet)}</style>
</head>
<body>
<main${wide && new Html(' class="wide"')}>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`
  return {
    status,
    text: { type: 'text/html', content: markup },
    headers: { ...headersOf(sheet), ...headers },
  }
}
