import { lookup as dnsLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { abortable } from './abortable.ts'

/**
 * An address of a host, for who cannot be given its name.
 *
 * @throws what the look-up says, such as `ENOTFOUND`, or the signal's reason
 */
export async function resolveName(
  host: string,
  lookup: LookupFunction = dnsLookup,
  signal: AbortSignal,
): Promise<string> {
  if (isIP(host) !== 0) return host
  return abortable(
    () =>
      new Promise<string>((resolve, reject) => {
        lookup(host, { all: true }, (error, found) => {
          // Functions made for one address only give that.
          const [first] = Array.isArray(found) ? found.map(({ address }) => address) : [found]
          if (error) reject(error)
          else if (first === undefined) reject(new Error(`${host} has no address`))
          else resolve(first)
        })
      }),
    signal,
  )
}
