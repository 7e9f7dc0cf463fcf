/** Beginnings that only variables of the gateway have. */
const ownBeginnings =
  /^(?:APP_JWT|APP_TOKEN|APP_REFRESH|AUDIT_RETENTION|COHERENCE|COOKIE|CORS|DATABASE|EMBEDDED_DATABASE|GATEWAY|RATE_LIMIT|TRUST_PROXY)_/

/** What Kubernetes puts into containers for a service that is called `gateway` or `database`. */
const ofKubernetes =
  /_(?:SERVICE_HOST|SERVICE_PORT|PORT|SERVICE_PORT_[A-Z]+|PORT_\d+_(?:TCP|UDP)(?:_(?:ADDR|PORT|PROTO))?)$/

/** At most so many letters are missing, added or other in a misspelt name. */
const mostTypos = 2
/** A shorter name comes close to too many others. */
const shortestCompared = 6
const longestCompared = 64

const plain = (name: string) => name.toUpperCase().replaceAll('_', '')

/** Levenshtein's distance. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_none, index) => index)
  for (const [index, letter] of Array.from(one).entries()) {
    const next = [index + 1]
    for (const [column, against] of Array.from(other).entries()) {
      const replaced = (row[column] ?? 0) + (letter === against ? 0 : 1)
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** Whether each word of `name` is one of `other`, and there are two of them at least. */
function isPartOf(name: string, other: string): boolean {
  const words = other.split('_')
  const own = name.toUpperCase().split('_')
  return own.length >= 2 && own.every((word) => words.includes(word))
}

/**
 * Returns the known name that `name` seems to stand for; an empty text where it begins as ours do and
 * resembles none; undefined where it is none of our business.
 */
export function resembles(name: string, known: readonly string[]): string | undefined {
  if (name.length > longestCompared || ofKubernetes.test(name)) return undefined
  const closest =
    name.length < shortestCompared
      ? undefined
      : known.find((one) => distance(plain(name), plain(one)) <= mostTypos)
  const meant = closest ?? known.find((one) => isPartOf(name, one))
  return meant ?? (ownBeginnings.test(name) ? '' : undefined)
}
