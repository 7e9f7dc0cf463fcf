import { Client, type buildConnector } from 'undici'
import type { UpstreamSettings } from './upstream-schema.js'

/** Asks a target again and again how it is. */
export interface HealthCheck {
  isHealthy: () => boolean
  /** Ends the checks, also one that is under way. */
  stop: () => void
}

interface Options {
  /** The target's origin. */
  origin: string
  /** Opens connections to the target. */
  connect: buildConnector.connector
  health: NonNullable<UpstreamSettings['health']>
  /** Called once for each change. */
  onChange: (isHealthy: boolean) => void
}

/**
 * The share of an interval within which the first check comes, so that many nodes do not check at the same
 * moment.
 */
const firstWithin = 0.2

/** Sends one GET on its own connection. Returns whether 2xx or 3xx came in time. */
async function answersWell(client: Client, path: string, timeoutMs: number): Promise<boolean> {
  const timer = setTimeout(() => void client.destroy(), timeoutMs).unref()
  try {
    return await new Promise<boolean>((resolve) => {
      client.dispatch(
        { method: 'GET', path, headers: { 'user-agent': 'mandate-gateway' } },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_controller, status) => {
            if (status >= 200) resolve(status < 400)
          },
          onResponseData: () => undefined,
          onResponseEnd: () => undefined,
          onResponseError: () => resolve(false),
        },
      )
    })
  } finally {
    clearTimeout(timer)
    void client.destroy()
  }
}

/**
 * Starts the checks of a target, which is healthy at first. Checks do not overlap: `intervalMs` is the pause
 * between them.
 */
export function checkHealth({
  origin,
  connect,
  health: { path, intervalMs, timeoutMs, unhealthyAfter, healthyAfter },
  onChange,
}: Options): HealthCheck {
  let isHealthy = true
  /** Consecutive checks with the opposite result. */
  let contrary = 0
  let isStopped = false
  let client: Client | undefined

  const note = (isWell: boolean) => {
    contrary = isWell === isHealthy ? 0 : contrary + 1
    if (contrary < (isHealthy ? unhealthyAfter : healthyAfter)) return
    contrary = 0
    isHealthy = isWell
    onChange(isWell)
  }
  const check = async () => {
    client = new Client(origin, { connect, maxHeaderSize: 32 * 1024, allowH2: false })
    const isWell = await answersWell(client, path, timeoutMs)
    if (isStopped) return
    note(isWell)
    timer = setTimeout(() => void check(), intervalMs).unref()
  }
  let timer = setTimeout(() => void check(), Math.random() * firstWithin * intervalMs).unref()

  return {
    isHealthy: () => isHealthy,
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      void client?.destroy()
    },
  }
}
