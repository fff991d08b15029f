import { lookup as dnsLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { abortable } from '../conn/abortable.ts'
import { isThenable } from '../session/is-thenable.ts'

/**
 * The addresses of a host, in the order of the look-up: one at least.
 *
 * @param lookup - `dns.lookup`, or a function of the application's, which may give anything
 * @param family - 4 or 6 where only that can be used; 0 = either
 * @throws what the look-up says, such as `ENOTFOUND`, or the signal's reason
 */
export async function resolveAddresses(
  host: string,
  lookup: LookupFunction = dnsLookup,
  family: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  const found = await abortable(() => ask(host, lookup, family), signal)
  // Functions made for one address only give that.
  const addresses = (Array.isArray(found) ? found : [found]).map(addressIn).filter((address) => {
    const version = isIP(address)
    return version !== 0 && (family === 0 || family === version)
  })
  if (addresses.length > 0) return addresses
  throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND', hostname: host })
}

function ask(host: string, lookup: LookupFunction, family: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const returned: unknown = lookup(host, { all: true, family }, (error, found: unknown) => {
      if (error) reject(error)
      else resolve(found)
    })
    // Of an async function: what it throws would end the process.
    if (isThenable(returned)) returned.then(undefined, reject)
  })
}

function addressIn(found: unknown): string {
  const address: unknown = (found as { address?: unknown } | null | undefined)?.address ?? found
  return typeof address === 'string' ? address : ''
}
