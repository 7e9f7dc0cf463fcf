import { createHash, randomBytes } from 'node:crypto'

/** A new link's token: 256 bits that nobody can guess. */
export const newToken = () => randomBytes(32).toString('base64url')

/** What is stored of a token: its SHA-256 in lower-case hex. */
export const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
