import request, { type Response } from 'supertest'
import { tokenFor, type DemoUser } from './demo.js'
import type { TestGateway } from './gateway.js'

/** Who asks: a demo user, or anybody by their token. */
export type Asker = DemoUser | { token: string }

/** Asks the administrative endpoints of a gateway, as somebody and, where it matters, in a mandate. */
export interface Administration {
  ask: (
    who: Asker,
    method: 'get' | 'post' | 'patch' | 'put' | 'delete',
    path: string,
    options?: { in?: string | undefined; body?: unknown; ifMatch?: string; accept?: string },
  ) => Promise<Response>
  /** Everything that a list holds, page by page. */
  all: (
    who: Asker,
    path: string,
    options?: { in?: string; limit?: number },
  ) => Promise<Record<string, unknown>[]>
}

/** Makes an asker of a gateway; demo users log in once. */
export function administrationOf(gateway: TestGateway): Administration {
  const tokens = new Map<string, Promise<string>>()
  const tokenOf = (who: Asker) => {
    if (typeof who !== 'string') return Promise.resolve(who.token)
    const token = tokens.get(who) ?? tokenFor(gateway.database, who).then((made) => made.token)
    tokens.set(who, token)
    return token
  }
  const ask: Administration['ask'] = async (
    who,
    method,
    path,
    { in: mandate, body, ifMatch, accept } = {},
  ) => {
    const asked = request(gateway.server)
      [method](path)
      .set('Authorization', `Bearer ${await tokenOf(who)}`)
    if (mandate !== undefined) void asked.set('X-Mandate-Id', mandate)
    if (ifMatch !== undefined) void asked.set('If-Match', ifMatch)
    if (accept !== undefined) void asked.set('Accept', accept)
    return await (body === undefined ? asked : asked.send(body as object))
  }
  return {
    ask,
    all: async (who, path, { in: mandate, limit = 2 } = {}) => {
      const items: Record<string, unknown>[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const answer = await ask(
          who,
          'get',
          `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
          { in: mandate },
        )
        if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}: ${answer.text}`)
        items.push(...answer.body.items)
        cursor = answer.body.nextCursor
      }
      return items
    },
  }
}
