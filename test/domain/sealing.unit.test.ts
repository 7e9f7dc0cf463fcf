import { describe, expect, it } from '@jest/globals'
import { createSealing } from '../../src/domain/sealing.js'

const [older, newer] = ['older-secret-0123456789-0123456789-01', 'newer-secret-0123456789-0123456789-01']

describe('sealed texts', () => {
  const sealing = createSealing({ SECRET_KEY: newer, SECRET_KEY_PREVIOUS: older }, 'tests')

  it('open again, also after SECRET_KEY has been replaced', () => {
    expect(sealing.unseal(sealing.seal('täxt'))).toBe('täxt')
    expect(sealing.unseal(createSealing({ SECRET_KEY: older }, 'tests').seal('before'))).toBe('before')
  })

  it('are never the same twice, and do not show what they hold', () => {
    const [one, other] = [sealing.seal('text'), sealing.seal('text')]
    expect(one).not.toBe(other)
    expect(Buffer.from(one, 'base64url').includes('text')).toBe(false)
  })

  it('do not open for another purpose, with another secret, or when a bit of them was changed', () => {
    const sealed = sealing.seal('text')
    expect(createSealing({ SECRET_KEY: newer }, 'others').unseal(sealed)).toBeUndefined()
    expect(createSealing({ SECRET_KEY: older }, 'tests').unseal(sealed)).toBeUndefined()
    const bytes = Buffer.from(sealed, 'base64url')
    for (let at = 0; at < bytes.length; at += 1) {
      const bent = Buffer.from(bytes)
      bent.writeUInt8(bent.readUInt8(at) ^ 1, at)
      expect(sealing.unseal(bent.toString('base64url'))).toBeUndefined()
    }
    expect(sealing.unseal('')).toBeUndefined()
  })

  it('need a secret', () => {
    expect(() => createSealing({}, 'tests').seal('text')).toThrow('SECRET_KEY')
  })
})
