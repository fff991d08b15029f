import type { IncomingHttpHeaders } from 'node:http'

/**
 * The milliseconds that a server asks to wait by a `Retry-After` header (RFC 9110 section 10.2.3), given as seconds or
 * as a date; `undefined` when it does not, or not in a way that can be understood. A date is held against the server's
 * own `Date`, where it sends one, so that it does not matter whose clock is wrong.
 *
 * @param now - the time of day, as `Date.now()` has it
 */
export function retryAfter(headers: IncomingHttpHeaders | undefined, now: number): number | undefined {
  const value = headers?.['retry-after']?.trim()
  if (value === undefined || value === '') return undefined
  if (isDigits(value)) return Number(value) * 1_000
  const until = parseDate(value)
  if (Number.isNaN(until)) return undefined
  const from = parseDate(headers?.date ?? '')
  return Math.max(0, until - (Number.isNaN(from) ? now : from))
}

function isDigits(text: string): boolean {
  for (const character of text) if (character < '0' || character > '9') return false
  return true
}

/** An HTTP date (RFC 9110 section 5.6.7). `Date.parse` alone sees dates in almost anything. */
function parseDate(text: string): number {
  return text.endsWith(' GMT') ? Date.parse(text) : Number.NaN
}
