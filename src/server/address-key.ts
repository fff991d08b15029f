import { isIPv4, isIPv6 } from 'node:net'

/** The longest address in text: IPv6 with an IPv4 tail, in brackets, with a zone and a port. Longer is none. */
const MAX_LENGTH = 80

/**
 * What the connections of an address are counted under: IPv4 as it is, also where it is written as IPv6 (mapped, or
 * by the NAT64 prefix of RFC 6052), and of IPv6 the first 64 bits, since a single host can have all addresses that
 * begin so (RFC 4291 section 2.5.4). A port and brackets are taken off. What is no address stands for itself.
 */
export function addressKey(text: string): string {
  if (text.length > MAX_LENGTH) return text
  if (isIPv4(text)) return text
  const address = withoutPort(text)
  if (isIPv4(address)) return address
  return isIPv6(address) ? networkOf(address) : text
}

/** `1.2.3.4:5` and `[::1]:5`, as some proxies write them; `::1:5` is an address. */
function withoutPort(text: string): string {
  if (text.startsWith('[')) return text.slice(1, text.indexOf(']'))
  const colon = text.indexOf(':')
  return colon === text.lastIndexOf(':') && colon > 0 ? text.slice(0, colon) : text
}

/** @param address - valid IPv6 */
function networkOf(address: string): string {
  const groups = groupsOf(address)
  const [a, b, c, d, e, f, g = 0, h = 0] = groups
  const zeros = c === 0 && d === 0 && e === 0
  if (zeros && ((a === 0 && b === 0 && f === 0xffff) || (a === 0x64 && b === 0xff9b && f === 0)))
    return `${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of a valid address; a zone, behind `%`, is left out. */
function groupsOf(address: string): number[] {
  const zone = address.indexOf('%')
  const [front = '', back] = (zone < 0 ? address : address.slice(0, zone)).split('::')
  const first = readGroups(front)
  if (back === undefined) return first
  const last = readGroups(back)
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
}

function readGroups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}
