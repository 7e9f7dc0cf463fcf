import { GatewayError } from '../errors.js'

const ambiguous = (detail: string) => new GatewayError('path_ambiguous', detail)

/**
 * Printable ASCII without `\` and `#`: characters that a request target may contain. All others must be
 * percent-encoded.
 */
const plain = /^[\x21\x22\x24-\x5b\x5d-\x7e]*$/
const encodedSeparator = /%(?:2f|5c|00)/i
const encodedTwice = /%(?:25)+(?:2f|5c|2e|3b|00)/i
const badEscape = /%(?![0-9a-f]{2})/i
/** An empty segment, also after its parameters are removed. */
const emptySegment = /\/(?:\/|;|%3B)/
const dotSegment = /(?:^|\/)\.{1,2}(?:[/;]|%3B|$)/
const needsWork = /%|\/\/|\/\.|\/;|[^\x21\x22\x24-\x5b\x5d-\x7e]/
const unreserved = /[A-Za-z0-9\-._~]/

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/**
 * Normalises a request target's path once (RFC 3986 §6.2.2): it decodes escapes of unreserved characters and
 * writes the others in upper case. Throws `path_ambiguous` for paths that two programs could read
 * differently: encoded or back slashes, dot segments, empty segments, NUL, bad escapes, and double encoding
 * of those.
 */
export function normalisePath(path: string): string {
  if (path.charCodeAt(0) !== 0x2f)
    throw ambiguous('The request target must be a path that begins with a slash')
  if (!needsWork.test(path)) return path
  if (!plain.test(path))
    throw ambiguous('The path holds a character that must be percent-encoded, a backslash or a fragment')
  if (badEscape.test(path))
    throw ambiguous('The path holds a % that is not followed by two hexadecimal digits')
  if (encodedSeparator.test(path)) throw ambiguous('The path holds an encoded slash, backslash or NUL')
  const decoded = path.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return unreserved.test(character) ? character : escape.toUpperCase()
  })
  if (encodedTwice.test(decoded)) throw ambiguous('The path holds a separator or dot that is encoded twice')
  if (!isUtf8(decoded)) throw ambiguous('The path holds escapes that are not UTF-8')
  if (emptySegment.test(decoded)) throw ambiguous('The path holds an empty segment')
  if (dotSegment.test(decoded)) throw ambiguous('The path holds a dot segment')
  return decoded
}

/**
 * Refuses a query that is not printable ASCII, or that holds the beginning of a fragment (RFC 9112 §3.2),
 * because some programs would cut it there.
 */
export function checkQuery(search: string): void {
  if (!/^[\x21\x22\x24-\x7e]*$/.test(search))
    throw ambiguous('The query holds a character that must be percent-encoded')
}
