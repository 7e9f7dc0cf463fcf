import { BlockList, isIP, isIPv6 } from 'node:net'

/** Returns whether a text is an address or a range of addresses (RFC 4632, RFC 4291 §2.3). */
export function isRange(value: string): boolean {
  const [address = '', bits, ...more] = value.split('/')
  const family = isIP(address)
  return (
    family !== 0 &&
    !address.includes('%') &&
    more.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32)))
  )
}

/** Returns whether an address is in one of the ranges. A text that is no range holds no address. */
export function addressesIn(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges.filter(isRange)) {
    const [address = '', bits] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return (given) => {
    const [address = ''] = given.split('%') // a zone means nothing on another machine
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}
