import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page, Request } from 'playwright-core'

/** How somebody looks at pages. */
export const looks = {
  light: { colorScheme: 'light', viewport: { width: 1100, height: 750 } },
  dark: { colorScheme: 'dark', viewport: { width: 1100, height: 750 } },
  phone: {
    colorScheme: 'light',
    viewport: { width: 360, height: 740 },
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
  },
} satisfies Record<string, BrowserContextOptions>

/** A page in a profile of its own, with every request that it makes. */
export async function openPage(
  browser: Browser,
  options: BrowserContextOptions,
): Promise<{ page: Page; requests: Request[]; errors: string[] }> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const [requests, errors]: [Request[], string[]] = [[], []]
  page.on('request', (request) => requests.push(request))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    const { url } = message.location()
    // which Chromium asks for by itself
    if (message.type() === 'error' && !url.endsWith('/favicon.ico')) errors.push(`${message.text()} ${url}`)
  })
  return { page, requests, errors }
}

/** Keeps a picture of the page where SCREENSHOTS names a directory, for somebody to look at. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory === undefined || directory === '') return
  await mkdir(directory, { recursive: true })
  await page.screenshot({ path: path.join(directory, `${name}.png`), fullPage: true })
}

interface Violations {
  violations: { id: string; impact?: string | null; nodes: { html: string }[] }[]
}

const allRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/**
 * What axe finds wrong with a page, as the WCAG have it (2.2, AA), or by some of its rules alone. Its own
 * script runs beside the page's policy.
 */
export async function accessibilityFaults(page: Page, rules = allRules): Promise<string[]> {
  // As text: what runs in the page is not this program's.
  const found = await page.evaluate<Violations>(
    `(() => { if (!window.axe) { ${axe.source} } return axe.run(document, { runOnly: ` +
      `${JSON.stringify(rules)}, resultTypes: ['violations'] }) })()`,
  )
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}
