import { problemOf } from './problem.js'

/** What tabs of one browser tell each other, by way of localStorage. */
interface Shared {
  /** When the access token was renewed last, milliseconds since 1970. */
  renewedAt: number
  /** When it expires. */
  expiresAt: number
}

/**
 * How a renewal went: `renewed` by this tab or another; `ended`: there is nothing to renew; or the answer
 * that says why it could not be tried.
 */
export type Renewal = 'renewed' | 'ended' | Response

const lockName = 'mandate-gateway.refresh'
const sharedKey = 'mandate-gateway.session'
/** A token that ends so soon is renewed before it is used, so that the request need not be made twice. */
const soonMs = 10_000

/**
 * Keeps the access token of a browser's session fresh. Tabs take turns by a Web Lock: a refresh token is good
 * for one use.
 */
export class Renewals {
  constructor(
    private readonly baseUrl: string,
    private readonly send: typeof fetch,
  ) {}

  /** Notes what a login or refresh has answered, for all tabs. */
  note(expiresAt: string): void {
    const shared: Shared = { renewedAt: Date.now(), expiresAt: Date.parse(expiresAt) }
    localStorage.setItem(sharedKey, JSON.stringify(shared))
  }

  forget(): void {
    localStorage.removeItem(sharedKey)
  }

  /** Whether the token is known to end soon. */
  isDue(): boolean {
    const shared = this.shared()
    return shared !== undefined && shared.expiresAt - Date.now() < soonMs
  }

  /** Renews the token, unless another tab has done so after `since`. */
  async renew(since: number): Promise<Renewal> {
    const turn = async (): Promise<Renewal> =>
      (this.shared()?.renewedAt ?? 0) > since ? 'renewed' : await this.refresh()
    // Web Locks exist in secure contexts only; without them the gateway's own patience with two tabs at once
    // must do.
    return 'locks' in navigator ? await navigator.locks.request(lockName, turn) : await turn()
  }

  private async refresh(): Promise<Renewal> {
    const response = await this.send(`${this.baseUrl}/auth/refresh`, {
      method: 'POST',
      credentials: 'include',
    })
    if (response.ok) {
      const body: { expiresAt?: unknown } = (await response.json()) as { expiresAt?: unknown }
      if (typeof body.expiresAt === 'string') this.note(body.expiresAt)
      return 'renewed'
    }
    const { status } = await problemOf(response)
    return status === 400 || status === 401 || status === 403 || status === 404 ? 'ended' : response
  }

  private shared(): Shared | undefined {
    try {
      const { renewedAt, expiresAt } = JSON.parse(localStorage.getItem(sharedKey) ?? '') as Partial<Shared>
      return typeof renewedAt === 'number' && typeof expiresAt === 'number'
        ? { renewedAt, expiresAt }
        : undefined
    } catch {
      return undefined // nobody has signed in yet
    }
  }
}
