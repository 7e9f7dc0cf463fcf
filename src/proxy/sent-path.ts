/** How a route maps paths to those of its upstream. */
export interface PathMapping {
  /** The path prefix of the route. */
  prefix: string
  /** Whether the prefix is removed. */
  strip: boolean
  /** What replaces the prefix. */
  rewrite?: string | undefined
}

/**
 * Returns the path and query for a route's upstream: unchanged, or with the route's prefix removed (`strip`)
 * or replaced (`rewrite`).
 */
export function sentPath({ prefix, strip, rewrite }: PathMapping, pathname: string, search: string): string {
  const base = strip ? '/' : rewrite
  if (base === undefined) return pathname + search
  const rest = prefix === '/' ? pathname : pathname.slice(prefix.length)
  return ((base === '/' ? '' : base) + rest || '/') + search
}
