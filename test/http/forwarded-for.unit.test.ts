import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { clientAddress, trustedAddresses } from '../../src/http/client-address.js'

const seen = (forwarded: string, trustProxy = 1, peer = '10.0.0.9') => {
  const req = {
    headers: { 'x-forwarded-for': forwarded },
    socket: { remoteAddress: peer },
  } as unknown as IncomingMessage
  return clientAddress(req, trustProxy)
}

describe('X-Forwarded-For of a trusted proxy', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:4711', '203.0.113.7'],
    ['  203.0.113.7:1  ', '203.0.113.7'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['6.6.6.6:1, 203.0.113.7:2', '203.0.113.7'],
  ])('%j is the address %s: a port does not distinguish clients', (forwarded, address) => {
    expect(seen(forwarded)).toBe(address)
  })

  it.each([
    '',
    ',',
    'unknown',
    '_hidden',
    'rubbish',
    '203.0.113.7:port',
    '203.0.113.7.5',
    '999.1.1.1',
    '1',
    'localhost',
    '[203.0.113.7',
    '::g',
    'a'.repeat(5000),
  ])('%j names no address: the proxy is the client', (forwarded) => {
    expect(seen(forwarded)).toBe('10.0.0.9')
    expect(
      trustedAddresses(
        {
          headers: { 'x-forwarded-for': forwarded },
          socket: { remoteAddress: '10.0.0.9' },
        } as unknown as IncomingMessage,
        1,
      ),
    ).toEqual(['10.0.0.9'])
  })

  it('is not looked at without one', () => {
    expect(seen('203.0.113.7', 0)).toBe('10.0.0.9')
    expect(seen('203.0.113.7', 0, '::ffff:10.0.0.9')).toBe('10.0.0.9')
  })
})
