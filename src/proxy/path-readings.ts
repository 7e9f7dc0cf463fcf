/** Blanks, control characters and dots: Windows and IIS leave them out at the end of a segment. */
const isLeftOutAtEnd = (code: number) => code <= 0x20 || code === 0x2e || code === 0x7f

/** Escapes of any depth: to a program that decodes twice, `%2541` is `A`. `%u0041` is the escape of IIS. */
function decode(path: string): string {
  if (!path.includes('%')) return path
  return path
    .replace(/%(?:25)+/g, '%')
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
    .replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/**
 * Letters without regard to case, and full-width forms as the characters that they stand for (Unicode NFKC).
 * To upper case first: U+017F and U+0131 are S and I there. Combining marks go first, because NFKC takes
 * quadratic time for a long run of them. The last step takes off the dot of U+0130.
 */
function foldCase(text: string): string {
  return text
    .replace(/\p{M}+/gu, '')
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .replaceAll('i\u0307', 'i')
    .replaceAll('\\', '/')
}

/** A segment without its parameters, and without blanks and dots at its end. */
function trimSegment(segment: string): string {
  const parameter = segment.indexOf(';')
  let end = parameter === -1 ? segment.length : parameter
  while (end > 0 && isLeftOutAtEnd(segment.charCodeAt(end - 1))) end -= 1
  return segment.slice(0, end)
}

/**
 * Returns how the most lenient routers read a path: fully decoded, ignoring case, without `;` parameters,
 * without blanks and dots at the end of a segment. A second reading follows when some routers take a segment
 * such as `..%20` for a step up.
 */
export function forgivingReadings(path: string): string[] {
  const kept: string[] = []
  const climbed: string[] = []
  let climbs = false
  for (const segment of foldCase(decode(path)).split('/')) {
    const trimmed = trimSegment(segment)
    if (trimmed !== '') {
      kept.push(trimmed)
      climbed.push(trimmed)
    } else if (segment.startsWith('..') && segment[2] !== '.') {
      climbs = true
      climbed.pop()
    }
  }
  const [plain, up] = [kept, climbed].map((segments) => `/${segments.join('/')}`)
  return climbs ? [plain ?? '/', up ?? '/'] : [plain ?? '/']
}
