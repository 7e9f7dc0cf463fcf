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
 * The path and query that a route's upstream is asked for: as they came, with the route's prefix taken off
 * (`strip`) or replaced (`rewrite`).
 */
export function sentPath({ prefix, strip, rewrite }: PathMapping, pathname: string, search: string): string {
  const base = strip ? '/' : rewrite
  if (base === undefined) return pathname + search
  const rest = prefix === '/' ? pathname : pathname.slice(prefix.length)
  return ((base === '/' ? '' : base) + rest || '/') + search
}
