const hexadecimal = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

const uuid = new RegExp(`^${hexadecimal}$`, 'i')

/** A UUID as this gateway writes it, in lower case (RFC 9562 §4). */
export const lowerCaseUuid = new RegExp(`^${hexadecimal}$`)

/** A UUID in lower case, followed by any other text. */
export const uuidAndText = new RegExp(`^(${hexadecimal})(.*)$`, 's')

/** Returns whether a text is a UUID, in upper or lower case (RFC 9562 §4). */
export const isUuid = (text: string): boolean => uuid.test(text)
