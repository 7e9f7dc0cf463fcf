import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from '@jest/globals'
import ts from 'typescript'
import { foldRefusals } from '../../src/audit/fold-refusals.js'
import { keepWindows } from '../../src/http/limits/count-windows.js'

const oneCall = 'lives for one call'
const underWay = 'holds what is under way, which connections bound'
const configured = 'holds what the configuration names'
const rows = 'holds rows that an admin made'

/**
 * Every Map and Set of the code that begins empty and is filled later, and what keeps strangers from filling
 * it without end.
 */
const bounds: Record<string, [names: string, bound: string]> = {
  'audit/activity-endpoints.ts': ['actions, steps', oneCall],
  'audit/archive.ts': ['hashes', oneCall],
  'authorization/last-uses.ts': ['unwritten', 'maxSessions'],
  'authorization/permissions.ts': ['closest', oneCall],
  'authorization/rule-index.ts': ['nodes, contexts', rows],
  'coherence/commit-and-await-nodes.ts': ['waiters', underWay],
  'coherence/memory.ts': ['dependents, flights, joinable', 'COHERENCE_CACHE_ENTRIES, and what is under way'],
  'coherence/streams.ts': ['missed, byKey, all', underWay],
  'coherence/sweep-nodes.ts': ['seen', 'one for each node'],
  'database/connections.ts': ['identities', 'the size of the pool'],
  'directory/authority.ts': ['rulesByRole, known', oneCall],
  'directory/catalog-endpoints.ts': ['items', oneCall],
  'directory/delegated-admin.ts': ['looked, ids', oneCall],
  'directory/policies.ts': ['people', oneCall],
  'directory/request-quota.ts': ['known, wanted', 'one for each mandate that exists and was entered'],
  'directory/show-profiles.ts': [
    'underWay',
    'members who enter for the first time at this moment: one write each',
  ],
  'http/body.ts': ['entries', oneCall],
  'http/limits/connections.ts': ['surplus, ofAddress', underWay],
  'http/limits/count-windows.ts': ['current, previous', 'mostWindows'],
  'http/limits/counts.ts': ['untold', 'mostUntold'],
  'http/limits/limit-concurrency.ts': ['running', underWay],
  'http/limits/limit-entry.ts': ['known', 'the groups of endpoints, of which there are five'],
  'http/limits/unread-answers.ts': ['sockets', underWay],
  'login/failed-logins.ts': ['lanes', underWay],
  'login/fair-queue.ts': ['lanes', 'maxWaiting'],
  'login/refresh.ts': ['rotating', underWay],
  'login/sign-in-provider.ts': ['known', configured],
  'oauth/token-uses.ts': ['uses', 'one for each token that an admin made, until they are written'],
  'observability/request-counts.ts': [
    'outcomes, watched, byRoute, byReason',
    'mostRoutes, and codes of our own',
  ],
  'observability/usage.ts': ['current', 'mostWaiting'],
  'proxy/callers.ts': ['shares', underWay],
  'proxy/connections.ts': ['all', underWay],
  'proxy/header-names.ts': ['remembered', 'maxRemembered'],
  'proxy/header-rules.ts': ['added, dropped', configured],
  'proxy/identity-keys.ts': ['known, now', rows],
  'proxy/live-routes.ts': ['retired', configured],
  'proxy/match-route.ts': ['doubts', configured],
  'proxy/request-text.ts': ['knownNames', 'maxKnownNames, of longestKnown'],
  'proxy/response-parser.ts': ['knownNames', 'maxKnownNames, of longestKnown'],
  'proxy/route-schema.ts': ['known', configured],
  'proxy/target.ts': ['byRoute', configured],
  'proxy/targets.ts': ['opened', configured],
}

async function filledLater(): Promise<Record<string, string>> {
  const source = new URL('../../src/', import.meta.url)
  const found: Record<string, string> = {}
  for (const file of (await readdir(source, { recursive: true }))
    .filter((one) => one.endsWith('.ts'))
    .sort()) {
    const tree = ts.createSourceFile(
      file,
      await readFile(new URL(file, source), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    )
    const names: string[] = []
    const walk = (node: ts.Node): void => {
      const isEmpty =
        ts.isNewExpression(node) &&
        ['Map', 'Set'].includes(node.expression.getText()) &&
        (node.arguments ?? []).length === 0
      if (isEmpty && (ts.isVariableDeclaration(node.parent) || ts.isPropertyDeclaration(node.parent)))
        names.push(node.parent.name.getText())
      ts.forEachChild(node, walk)
    }
    walk(tree)
    if (names.length > 0) found[file] = names.join(', ')
  }
  return found
}

describe('requests of strangers do not fill the memory', () => {
  it('each Map and Set that grows has a named bound: use an LRUCache, or name the bound of a new one', async () => {
    expect(await filledLater()).toEqual(
      Object.fromEntries(Object.entries(bounds).map(([file, [names]]) => [file, names])),
    )
  })

  it('an LRUCache has a maximum', async () => {
    const source = new URL('../../src/', import.meta.url)
    for (const file of (await readdir(source, { recursive: true })).filter((one) => one.endsWith('.ts'))) {
      for (const [made] of (await readFile(new URL(file, source), 'utf8')).matchAll(
        /new LRUCache<[^(]{1,200}\([^)]{0,40}/g,
      ))
        expect([file, made]).toEqual([file, expect.stringMatching(/\bmax/)])
    }
  })

  it('windows of a counter are forgotten, the least used first, when there are too many', () => {
    const windows = keepWindows(60_000, 100)
    const now = performance.now()
    const count = (key: string) => {
      const window = windows.of(key, now)
      window.count += 1
      return window.count
    }
    for (let n = 0; n < 50; n += 1) count('often')
    for (let n = 0; n < 10_000; n += 1) {
      count(`stranger ${n}`)
      if (n % 50 === 0) count('often')
    }
    expect(count('often')).toBe(251) // it was used all the time
    expect(count('stranger 1')).toBe(1) // it was forgotten
  })

  it('refusals folded under very many names are counted early, and none is lost', () => {
    const told: object[] = []
    const folding = foldRefusals(
      ({ details }) => {
        told.push(details)
      },
      () => 0,
    )
    const refuse = (by: string) =>
      folding.refusal(
        { userId: null, mandateId: 'system', action: 'x', details: { by }, requestId: null },
        { by, most: 1 },
      )
    for (let n = 0; n < 12_000; n += 1) for (let times = 0; times < 3; times += 1) refuse(String(n))
    expect(told.filter((details) => 'folded' in details)).toHaveLength(2000) // past 10,000
    folding.settle(true)
    expect(told.filter((details) => 'folded' in details)).toHaveLength(12_000)
  })
})
