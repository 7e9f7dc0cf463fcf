import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Seals texts, so that neither a copy of the database nor a browser can read or change them. */
export interface Sealing {
  /** Returns the sealed text, in base64url. It is another one each time. */
  seal: (text: string) => string
  /** Returns what was sealed, also with the previous secret; undefined for anything else. */
  unseal: (sealed: string) => string | undefined
}

const [nonceBytes, tagBytes] = [12, 16]

function open(key: Uint8Array, bytes: Buffer): string | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAuthTag(bytes.subarray(-tagBytes))
    return decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined // another key sealed it, or nobody did
  }
}

/**
 * Returns a sealing (AES-256-GCM) with a key derived from SECRET_KEY. Texts sealed for one purpose do not
 * open for another. Sealing throws without a secret.
 */
export function createSealing(
  { SECRET_KEY: secret, SECRET_KEY_PREVIOUS: previous }: SealingSecrets,
  purpose: string,
): Sealing {
  const keyOf = (one: string) =>
    new Uint8Array(hkdfSync('sha256', Buffer.from(one, 'utf8'), '', `mandate-gateway ${purpose}`, 32))
  const keys = [secret, previous].filter((one) => one !== undefined).map(keyOf)
  return {
    seal: (text) => {
      const [key] = keys
      if (!key) throw new Error('SECRET_KEY is not set')
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([body, cipher.getAuthTag()]).toString('base64url')
    },
    unseal: (sealed) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < nonceBytes + tagBytes) return undefined
      for (const one of keys) {
        const text = open(one, bytes)
        if (text !== undefined) return text
      }
      return undefined
    },
  }
}

/** The secrets of the configuration that seal. */
export interface SealingSecrets {
  SECRET_KEY?: string | undefined
  SECRET_KEY_PREVIOUS?: string | undefined
}
