import { afterAll, afterEach, beforeAll } from '@jest/globals'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { openBrowser, signIn } from './chromium.js'
import type { DemoUser } from './demo.js'
import { startTestGateway, type TestGateway } from './gateway.js'

/** A gateway with demo data, and a browser at it. */
export interface Site {
  gateway: TestGateway
  browser: Browser
  /** Signs a demo user in to the console, in a browser profile of their own. */
  as: (user: DemoUser) => Promise<Page>
}

interface Options {
  gateway?: Parameters<typeof startTestGateway>[0]
  profile?: BrowserContextOptions
}

/**
 * Starts a gateway and a browser before the tests of a file, closes the pages after each, and all of it in
 * the end.
 */
export function useConsole({ gateway = {}, profile = {} }: Options = {}): Site {
  const site: Partial<Site> = {}
  const started = <Part extends keyof Site>(part: Part): Site[Part] => {
    const there = site[part]
    if (there === undefined) throw new Error(`the ${part} has not started yet`)
    return there
  }
  beforeAll(async () => {
    ;[site.gateway, site.browser] = await Promise.all([
      startTestGateway({
        demoUpstream: true,
        ...gateway,
        environment: { COHERENCE_LEASE_MS: '5000', ...gateway.environment },
      }),
      openBrowser(),
    ])
  }, 60_000)
  afterEach(async () => {
    for (const context of site.browser?.contexts() ?? []) await context.close()
  })
  afterAll(async () => {
    await site.browser?.close()
    await site.gateway?.stop()
  })
  return {
    get gateway() {
      return started('gateway')
    },
    get browser() {
      return started('browser')
    },
    as: async (user) => {
      const context = await started('browser').newContext({
        locale: 'en-GB',
        viewport: { width: 1360, height: 850 },
        ...profile,
      })
      return await signIn(context, started('gateway').url, user)
    },
  }
}
