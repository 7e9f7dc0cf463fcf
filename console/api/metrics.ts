import { problemOf, ProblemError } from '../../packages/client/src/index'
import { gateway } from './client'

/** One line of Prometheus's text format. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/

/** Reads the text format, as far as the gateway writes it. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((one) => {
    const [, name, labels = '', value] = one.startsWith('#') ? [] : (line.exec(one) ?? [])
    if (name === undefined) return []
    const pairs = [...labels.matchAll(/\b(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
      ([, key = '', text = '']) => [key, text] as const,
    )
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
  })
}

/** Returns the metrics of the node that answers. */
export async function loadMetrics(): Promise<Sample[]> {
  const response = await gateway.fetch('/metrics')
  if (!response.ok) throw new ProblemError(await problemOf(response))
  return parseMetrics(await response.text())
}

/** Returns the sum of a metric over the samples with these labels. */
export function sumOf(
  samples: Sample[],
  name: string,
  matches: (labels: Record<string, string>) => boolean = () => true,
): number {
  return samples.reduce(
    (total, one) => (one.name === name && matches(one.labels) ? total + one.value : total),
    0,
  )
}

/** Returns the cumulative count of a histogram at each bound. */
export function bucketsOf(samples: Sample[], name: string): Map<number, number> {
  const buckets = new Map<number, number>()
  for (const { name: own, labels, value } of samples) {
    if (own !== `${name}_bucket`) continue
    const bound = labels.le === '+Inf' ? Infinity : Number(labels.le)
    buckets.set(bound, (buckets.get(bound) ?? 0) + value)
  }
  return buckets
}

/** Returns the quantile `share` of the values between two samples; undefined where there are none. */
export function quantile(
  before: Map<number, number>,
  after: Map<number, number>,
  share: number,
): number | undefined {
  const grown = [...after]
    .sort(([a], [b]) => a - b)
    .map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)] as const)
  const total = grown.at(-1)?.[1] ?? 0
  if (total <= 0) return undefined
  const place = total * share
  let [low, below] = [0, 0]
  for (const [bound, count] of grown) {
    if (count >= place)
      return bound === Infinity ? low : low + (bound - low) * ((place - below) / Math.max(count - below, 1))
    ;[low, below] = [bound, count]
  }
  return low
}
