import { problemOf } from './problem.js'

/** What the tabs of one browser share in localStorage. */
interface Shared {
  /** The last renewal of the access token, in milliseconds since 1970. */
  renewedAt: number
  /** Its expiry, in milliseconds since 1970. */
  expiresAt: number
}

/**
 * The result of a renewal: `renewed` by this tab or another; `ended` when there is nothing to renew; or the
 * response that says why it failed.
 */
export type Renewal = 'renewed' | 'ended' | Response

const lockName = 'mandate-gateway.refresh'
const sharedKey = 'mandate-gateway.session'
/** A token that ends this soon is renewed before its next use. */
const soonMs = 10_000

/**
 * Renews the access token of a browser's session. Tabs take turns by a Web Lock, because a refresh token
 * works once.
 */
export class Renewals {
  constructor(
    private readonly baseUrl: string,
    private readonly send: typeof fetch,
  ) {}

  /** Stores the expiry that a login or refresh has returned, for all tabs. */
  note(expiresAt: string): void {
    const shared: Shared = { renewedAt: Date.now(), expiresAt: Date.parse(expiresAt) }
    localStorage.setItem(sharedKey, JSON.stringify(shared))
  }

  forget(): void {
    localStorage.removeItem(sharedKey)
  }

  /** Returns whether the token is about to expire. */
  isDue(): boolean {
    const shared = this.shared()
    return shared !== undefined && shared.expiresAt - Date.now() < soonMs
  }

  /** Renews the token, unless another tab has done so after `since`. */
  async renew(since: number): Promise<Renewal> {
    const turn = async (): Promise<Renewal> =>
      (this.shared()?.renewedAt ?? 0) > since ? 'renewed' : await this.refresh()
    // Web Locks exist in secure contexts only. Without them, the gateway tolerates two tabs that renew at
    // once.
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
