import type { Response } from 'express'
import { daySeconds } from '../domain/time.js'
import type { Config } from '../config.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { sendAnswer, type Endpoint } from '../http/endpoint/endpoint.js'
import { endWithout, writeHead } from '../http/head.js'
import { anyone } from '../http/endpoint/policy.js'
import { builtFiles, type BuiltFile } from './built-files.js'
import { fillPage, settingsOf, type ChangedTexts } from './page-template.js'

const year = 365 * daySeconds

/** Names of assets hold a hash of their content, so whoever has one need not ask again. */
function sendAsset(
  res: Response,
  { contentType, codings }: BuiltFile,
  coding: 'br' | 'gzip' | undefined,
): void {
  const content = (coding && codings[coding]) ?? codings.identity
  writeHead(res, 200, [
    'Content-Type',
    contentType,
    'Content-Length',
    String(content.byteLength),
    'Cache-Control',
    `public, max-age=${year}, immutable`,
    'Vary',
    'Accept-Encoding',
    ...(content === codings.identity ? [] : ['Content-Encoding', coding ?? '']),
  ])
  res.end(content)
}

/**
 * What people see of the gateway: the console, the documentation and, outside production, the quick start
 * page; with the assets of all three.
 */
export function consolePages({
  config,
  changedTexts,
}: {
  config: Config
  changedTexts: () => ChangedTexts
}): Endpoint[] {
  const built = builtFiles()
  const settings = settingsOf(config)

  const page =
    (name: string): Middleware =>
    async (_req, res) => {
      const source = (await built()).pages.get(name)
      if (source === undefined)
        throw new GatewayError('not_found', 'This page has not been built. Run: npm run build')
      const { content, headers } = fillPage(source, { ...settings, texts: changedTexts() })
      sendAnswer(res, { status: 200, text: { type: 'text/html', content }, headers })
    }
  const asset: Middleware = async (req, res) => {
    const file = (await built()).assets.get(String(req.params.file))
    if (!file)
      throw new GatewayError(
        'not_found',
        'There is no such file. Reload the page: there may be a newer version of it',
      )
    sendAsset(
      res,
      file,
      (['br', 'gzip'] as const).find((coding) => file.codings[coding] && req.acceptsEncodings(coding)),
    )
  }
  const toConsole: Middleware = (_req, res) =>
    endWithout(res, 302, ['Location', '/console', 'Cache-Control', 'no-store'])

  const shown = (path: string, summary: string, serve: Middleware): Endpoint => ({
    method: 'get',
    path,
    summary,
    access: anyone,
    answers: { 200: 'text/html' },
    serve,
  })
  return [
    shown('/', 'Where to begin', config.NODE_ENV === 'production' ? toConsole : page('start.html')),
    shown('/docs', 'The documentation of what the gateway answers itself', page('docs.html')),
    shown('/console/assets/:file', 'A script, style, font or image of the pages', asset),
    shown('/console', 'The console', page('console.html')),
    shown('/console/', 'The console', page('console.html')),
    shown('/console/*page', 'A page of the console', page('console.html')),
  ]
}
