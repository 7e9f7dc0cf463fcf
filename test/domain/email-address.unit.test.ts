import { describe, expect, it } from '@jest/globals'
import { prepareEmail } from '../../src/domain/email-address.js'

describe('a new mail address', () => {
  it.each([
    ['ann@example.com', 'ann@example.com'],
    ['Ann.Lee+news@Example.COM', 'Ann.Lee+news@example.com'],
    ['ann@bücher.example', 'ann@xn--bcher-kva.example'],
    ['ann@XN--BCHER-KVA.example', 'ann@xn--bcher-kva.example'],
    ['u\u0308mit@example.com', '\u00fcmit@example.com'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
  ])('%s is kept as %s', (typed, kept) => {
    expect(prepareEmail(typed)).toBe(kept)
  })

  it.each([
    ['without a domain', 'ann'],
    ['with two signs', 'ann@home@example.com'],
    ['two addresses', 'ann@example.com,bob@example.com'],
    ['with quotes', '"ann"@example.com'],
    ['with a comment', 'ann(home)@example.com'],
    ['with a name', 'Ann <ann@example.com>'],
    ['with a blank', 'ann lee@example.com'],
    ['with a blank around it', ' ann@example.com'],
    ['with a line break', 'ann@example.com\nBcc: eve@example.com'],
    ['with a control character', 'ann\u0007@example.com'],
    ['with an invisible character', 'ann\u200b@example.com'],
    ['with an empty local part', '@example.com'],
    ['with dots in a row', 'ann..lee@example.com'],
    ['at an IP address', 'ann@[127.0.0.1]'],
    ['at numbers', 'ann@127.0.0.1'],
    ['at a host without a domain', 'ann@localhost'],
    ['with an empty label', 'ann@example..com'],
    ['with a hyphen at the end of a label', 'ann@example-.com'],
    ['with a long local part', `${'a'.repeat(65)}@example.com`],
    ['of more than 254 octets', `ann@${'a.'.repeat(125)}com`],
  ])('is refused %s', (_, typed) => {
    expect(prepareEmail(typed)).toBeUndefined()
  })
})
