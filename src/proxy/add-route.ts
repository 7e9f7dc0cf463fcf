import { isMap, isScalar, parseDocument, stringify, type Document, type Pair } from 'yaml'
import { parseRouteTable, type RouteTable } from './route-table.js'

/** A route for one service, behind a mandate and a permission on `item`. */
export interface NewRoute {
  prefix: string
  /** The service's address, such as `http://127.0.0.1:9000`. */
  target: string
  /** The item of the permission. The upstream gets this name, too, if it is free. */
  item: string
  strip: boolean
}

/** Adds a route to a route file. A file that has the route already is returned as it is. */
export interface Added {
  text: string
  made: boolean
}

/** The beginning of a section that a route file lacks. */
const beginning =
  '# The route table: which path prefixes go to which upstream, and what a caller must be to get ' +
  'there. See docs/routes.md.\n'

/** The name of an upstream that has exactly this target, or a name that is free. */
function upstreamFor(
  { upstreams }: RouteTable,
  { target, item }: NewRoute,
): { name: string; isNew: boolean } {
  const same = Object.entries(upstreams).find(
    ([, { targets }]) => targets.length === 1 && targets[0] === target,
  )
  if (same) return { name: same[0], isNew: false }
  const plain =
    item
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '-')
      .replace(/^-+/, '') || 'service'
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? plain : `${plain}-${count}`
    if (!Object.hasOwn(upstreams, name)) return { name, isNew: true }
  }
}

/** A text as YAML writes it within brackets and braces. */
const inYaml = (text: string) => (/[[\]{},]/.test(text) ? JSON.stringify(text) : stringify(text).trim())

const upstreamLines = (name: string, { target }: NewRoute) => [
  `${inYaml(name)}:`,
  `  targets: [${inYaml(target)}]`,
]

const routeLines = (upstream: string, { prefix, item, strip }: NewRoute) => [
  `${prefix}:`,
  `  upstream: ${inYaml(upstream)}`,
  ...(strip ? ['  strip: true'] : []),
  '  mandate: required',
  `  permission: { context: RESOURCE, item: ${inYaml(item)} }`,
]

const indented = (lines: string[], indent: string) => lines.map((line) => `${indent}${line}\n`).join('')

/**
 * Returns where a section's entries begin, and their indentation; undefined for a section with entries in one
 * line.
 */
function placeIn(
  text: string,
  { key, value }: Pair,
): { from: number; to: number; indent: string } | undefined {
  const [, keyEnd] = isScalar(key) ? (key.range ?? []) : []
  if (keyEnd === undefined) return undefined
  const newline = text.indexOf('\n', keyEnd)
  const lineEnd = newline === -1 ? text.length : newline + 1
  if (isMap(value) && value.items.length > 0) {
    const first = value.items[0]?.key
    const [begin] = isScalar(first) ? (first.range ?? []) : []
    if (value.flow === true || begin === undefined) return undefined
    return { from: lineEnd, to: lineEnd, indent: ' '.repeat(begin - text.lastIndexOf('\n', begin) - 1) }
  }
  return {
    from: text.indexOf(':', keyEnd) + 1,
    to: isMap(value) ? (value.range?.[1] ?? lineEnd) : lineEnd,
    indent: '  ',
  }
}

/** Inserts lines at the beginning of a section. The rest of the text, with its comments, stays as it is. */
function insertInto(text: string, section: 'upstreams' | 'routes', lines: string[]): string | undefined {
  const document: Document = parseDocument(text)
  const { contents } = document
  const pair = isMap(contents)
    ? contents.items.find(({ key }) => isScalar(key) && key.value === section)
    : undefined
  if (!pair)
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}\n${section}:\n${indented(lines, '  ')}`
  const place = placeIn(text, pair)
  if (!place) return undefined
  const body = indented(lines, place.indent)
  return place.from === place.to && text[place.from - 1] === '\n'
    ? text.slice(0, place.from) + body + text.slice(place.to)
    : `${text.slice(0, place.from)}\n${body.slice(0, -1)}${text.slice(place.to)}`
}

/**
 * Adds a route to the text of a route file, which is undefined when there is no file. Throws a
 * RouteTableError when the file or the new route has faults, and an Error when the prefix is taken or the
 * file's form does not allow it.
 */
export function addRoute(text: string | undefined, file: string, route: NewRoute): Added {
  const before = text ?? `${beginning}upstreams: {}\nroutes: {}\n`
  const table = parseRouteTable(before, file)
  const taken = table.routes.find(({ prefix }) => prefix === route.prefix)
  const upstream = upstreamFor(table, route)
  if (taken) {
    if (taken.upstream === upstream.name && !upstream.isNew) return { text: before, made: false }
    throw new Error(
      `${file} has a route for ${route.prefix} already, to the upstream ${taken.upstream}. ` +
        'Choose another path, or change that route by hand.',
    )
  }
  const withUpstream = upstream.isNew
    ? insertInto(before, 'upstreams', upstreamLines(upstream.name, route))
    : before
  const added =
    withUpstream === undefined
      ? undefined
      : insertInto(withUpstream, 'routes', routeLines(upstream.name, route))
  if (added === undefined) {
    const section = (name: string, lines: string[]) => `${name}:\n${indented(lines, '  ')}`
    const lines =
      (upstream.isNew ? section('upstreams', upstreamLines(upstream.name, route)) : '') +
      section('routes', routeLines(upstream.name, route))
    throw new Error(
      `${file} has a section in one line, with braces, which this command does not change. Add ` +
        `these lines by hand, then run the command again:\n${lines}`,
    )
  }
  parseRouteTable(added, file)
  return { text: added, made: true }
}
