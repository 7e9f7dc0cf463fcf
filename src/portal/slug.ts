const spelled: Record<string, string> = { ä: 'ae', ö: 'oe', ü: 'ue', ß: 'ss', æ: 'ae', ø: 'o', å: 'a' }

/**
 * A slug that a name suggests: lower-case letters, digits and single hyphens, at most 80 characters; `client`
 * where the name holds none of them.
 */
export function slugFrom(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[äöüßæøå]/g, (letter) => spelled[letter] ?? '')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
  const slug = plain
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 80)
    .replace(/^-|-$/g, '')
    .replace(/^preview-/, '')
  return slug === '' ? 'client' : slug
}
