import { errors, type Dispatcher } from 'undici'

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** RFC 9110 §5.5, without control characters. */
const value = /^[\t\x20-\x7e\x80-\xff]*$/
/** What ends the path or begins another line. */
const pathText = /^\/[\x21-\x7e\x80-\xff]*$/

type Kind = 'sent' | 'host' | 'left-out' | 'refused'

/** Headers whose values the connection itself writes. */
const kinds = new Map<string, Kind>([
  ['host', 'host'],
  ['content-length', 'left-out'],
  ['connection', 'refused'],
  ['keep-alive', 'refused'],
  ['transfer-encoding', 'refused'],
  ['upgrade', 'refused'],
  ['expect', 'refused'],
])

/**
 * The kinds of names, by their spelling in requests. Clients choose them: it begins anew when there are many,
 * and long ones are not kept.
 */
const knownNames = new Map<string, Kind>()
const maxKnownNames = 1000
const longestKnown = 64

function kindOf(name: string): Kind {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const kind = token.test(name) ? (kinds.get(name.toLowerCase()) ?? 'sent') : 'refused'
  if (knownNames.size >= maxKnownNames) knownNames.clear()
  if (name.length <= longestKnown) knownNames.set(name, kind)
  return kind
}

/** Methods that announce a body, if only an empty one (RFC 9110 §8.6). */
const announcesBody = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

/**
 * Returns the text of a request without a body (RFC 9112 §3). `headers` are names and values in turn. A HEAD
 * request ends its connection, because some servers send a body all the same. Throws an InvalidArgumentError
 * for what cannot be sent as it is.
 */
export function requestText(
  { method, path }: Pick<Dispatcher.DispatchOptions, 'method' | 'path'>,
  headers: readonly string[],
  ownHost: string,
): string {
  if (!token.test(method) || !pathText.test(path))
    throw new errors.InvalidArgumentError('the method or path cannot be sent')
  let host = ownHost
  let lines = ''
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const text = headers[index + 1] ?? ''
    const kind = kindOf(name)
    if (kind === 'refused' || !value.test(text))
      throw new errors.InvalidArgumentError('a header cannot be sent')
    if (kind === 'sent') lines += `${name}: ${text}\r\n`
    else if (kind === 'host') host = text
  }
  const length = announcesBody.has(method) ? 'content-length: 0\r\n' : ''
  const reuse = method === 'HEAD' ? 'close' : 'keep-alive'
  return `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: ${reuse}\r\n${lines}${length}\r\n`
}
