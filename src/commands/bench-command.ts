import { Pool } from 'undici'
import { exitCodes } from '../domain/exit-codes.js'
import type { Said } from './routes-command.js'
import { failed, said } from './said.js'

interface Options {
  url: string
  seconds: number
  connections: number
  headers: Record<string, string>
  json: boolean
}

/**
 * `bench`: sends one GET again and again, and says how many answers came, how fast, with which statuses. Exit
 * code 1 where one failed.
 */
export async function runBench({ url, seconds, connections, headers, json }: Options): Promise<Said> {
  try {
    const { origin, pathname, search } = new URL(url)
    const pool = new Pool(origin, { connections, pipelining: 1 })
    const times: number[] = []
    const statuses: Record<string, number> = {}
    const endsAt = performance.now() + seconds * 1000
    const one = async () => {
      while (performance.now() < endsAt) {
        const sentAt = performance.now()
        const status = await pool.request({ method: 'GET', path: pathname + search, headers }).then(
          async ({ statusCode, body }) => {
            await body.dump()
            return String(statusCode)
          },
          () => 'failed',
        )
        times.push(performance.now() - sentAt)
        statuses[status] = (statuses[status] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: connections }, one))
    await pool.close()
    times.sort((a, b) => a - b)
    const at = (share: number) =>
      Math.round((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0) * 100) / 100
    const found = {
      requests: times.length,
      perSecond: Math.round(times.length / seconds),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      statuses,
    }
    const isGood = Object.keys(statuses).every((status) => /^[23]/.test(status))
    return said(
      isGood ? exitCodes.ok : exitCodes.no,
      json,
      found,
      Object.entries(found).map(
        ([name, value]) =>
          `${name.padEnd(12)}${typeof value === 'number' ? String(value) : JSON.stringify(value)}`,
      ),
    )
  } catch (error) {
    return failed(error)
  }
}
