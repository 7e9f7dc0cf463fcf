import { createHash, randomBytes } from 'node:crypto'

/**
 * A secret that nobody can guess: 256 random bits in base64url, which need no encoding in URLs, forms and
 * headers.
 */
export const makeSecret = () => randomBytes(32).toString('base64url')

/** What is stored of such a secret: SHA-256 in lower-case hex. Slow hashes are for what people make up. */
export const hashSecret = (secret: string) => createHash('sha256').update(secret).digest('hex')
