// Not the global one, which may be another class.
import { URL } from 'node:url'

/**
 * Parses a URL; `undefined` for what is none. `URL.canParse` must not be asked: on Node 20 it says no to characters
 * beyond ASCII once the function that calls it has been compiled.
 */
export function parseUrl(given: string, base?: string | URL): URL | undefined {
  try {
    return new URL(given, base)
  } catch {
    return undefined
  }
}
