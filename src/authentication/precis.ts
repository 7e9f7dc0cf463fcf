/**
 * Preparation of usernames and passwords (PRECIS: RFC 8264; profiles of RFC 8265). Unicode properties are
 * those of the running Node.
 */

/** RFC 8264 §9.6: code points whose class differs from their properties. */
const allowedByException = new Set('\u00df\u03c2\u06fd\u06fe\u0f0b\u3007')
const refusedByException = new Set('\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b')
const inContext = /[\u00b7\u0375\u05f3\u05f4\u30fb\u0660-\u0669\u06f0-\u06f9]/u
const oldHangulJamo = /[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7c6\ud7cb-\ud7fb]/u
const ignorable = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u
const letterOrDigit = /[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u
const ofFreeformOnly = /[\p{Lt}\p{Nl}\p{No}\p{Me}\p{Zs}\p{S}\p{P}]/u
const viramas = new Set(
  Array.from(
    '\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u0e3a\u0f84\u1039\u103a\u1714\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua8c4\ua953\ua9c0\uaaf6\uabed',
  ),
)

/**
 * RFC 5892 appendix A, by neighbours. A.1 (between joining letters) is approximated: between Arabic letters.
 */
function holdsInContext(point: string, index: number, points: string[]): boolean {
  const [before = '', after = '', whole] = [points[index - 1], points[index + 1], points.join('')]
  switch (point) {
    case '\u200c':
      return viramas.has(before) || (/\p{Script=Arabic}/u.test(before) && /\p{Script=Arabic}/u.test(after))
    case '\u200d':
      return viramas.has(before)
    case '\u00b7':
      return before === 'l' && after === 'l'
    case '\u0375':
      return /\p{Script=Greek}/u.test(after)
    case '\u05f3':
    case '\u05f4':
      return /\p{Script=Hebrew}/u.test(before)
    case '\u30fb':
      return /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u.test(whole)
    default:
      return !(/[\u0660-\u0669]/u.test(whole) && /[\u06f0-\u06f9]/u.test(whole))
  }
}

/** RFC 8264 §8: returns whether a code point of a string belongs to the class. */
function isOf(isFreeform: boolean): (point: string, index: number, points: string[]) => boolean {
  return (point, index, points) => {
    if (allowedByException.has(point)) return true
    if (refusedByException.has(point) || /\p{Cs}/u.test(point)) return false
    if (inContext.test(point) || point === '\u200c' || point === '\u200d')
      return holdsInContext(point, index, points)
    if (/^[!-~]$/.test(point)) return true
    if (/[\p{Cn}\p{Cc}]/u.test(point) || oldHangulJamo.test(point) || ignorable.test(point)) return false
    if (point.normalize('NFKC') !== point) return isFreeform
    return letterOrDigit.test(point) || (isFreeform && ofFreeformOnly.test(point))
  }
}
const isFreeform = isOf(true)
const isIdentifier = isOf(false)

/**
 * OpaqueString (RFC 8265 §4.2): returns the password as it is hashed; undefined when it is empty or holds a
 * forbidden character.
 */
export function preparePassword(password: string): string | undefined {
  const prepared = password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
  return prepared !== '' && Array.from(prepared).every(isFreeform) ? prepared : undefined
}

const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u
const isRightToLeft = (point: string) => rightToLeft.test(point) && /\p{L}/u.test(point)

/** RFC 5893 §2, with letters classified by their scripts. */
function followsBidiRule(points: string[]): boolean {
  if (!points.some((point) => rightToLeft.test(point))) return true
  const last = points.filter((point) => !/\p{Mn}/u.test(point)).at(-1) ?? ''
  const hasBothDigits =
    points.some((point) => /[0-9\u06f0-\u06f9]/u.test(point)) &&
    points.some((point) => /[\u0660-\u0669]/u.test(point))
  return (
    isRightToLeft(points[0] ?? '') &&
    points.every((point) => isRightToLeft(point) || !/\p{L}/u.test(point)) &&
    (isRightToLeft(last) || /\p{Nd}/u.test(last)) &&
    !hasBothDigits
  )
}

const narrow = (text: string) =>
  text.replace(/[\uff01-\uffdc\uffe0-\uffee\u3000]/gu, (wide) => wide.normalize('NFKC'))

/**
 * UsernameCaseMapped (RFC 8265 §3.3). Returns undefined for a text that is no username, and for one that
 * mixes Latin, Cyrillic and Greek letters.
 */
export function prepareUsername(username: string): string | undefined {
  const prepared = narrow(username).toLowerCase().normalize('NFC')
  const points = Array.from(prepared)
  if (points.length === 0 || !points.every(isIdentifier) || !followsBidiRule(points)) return undefined
  const scripts = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u].filter((script) =>
    script.test(prepared),
  )
  return scripts.length <= 1 ? prepared : undefined
}

/**
 * Returns the names by which a typed or claimed one is looked up, the likeliest first: as it is, in lower
 * case (older names are stored as they were typed), and prepared.
 */
export function namesOf(typed: string): string[] {
  const prepared = prepareUsername(typed)
  return [...new Set([typed, typed.toLowerCase(), ...(prepared === undefined ? [] : [prepared])])]
}
