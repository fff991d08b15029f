import type { Extension } from './extension.ts'

/** The header fields of a request or an answer, by lower-case name, as Node gives them. */
export type HandshakeHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * The value of a header that may occur once. `undefined` when it is missing, and also when it was repeated: no
 * check of ours should depend on which of several values another program in the path would take.
 */
export function singleHeader(headers: HandshakeHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The value of a header that is a list, and may be spread over several fields (RFC 7230 section 3.2.2). */
export function listHeader(headers: HandshakeHeaders, name: string): string | undefined {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? value : value.join(', ')
}

/** Whether an extension cannot work beside these: same name, or a reserved bit that one of them owns. */
export function clashes(extension: Extension, others: readonly Extension[]): boolean {
  return others.some((other) => other.name === extension.name || (other.rsv & extension.rsv) !== 0)
}

/** Whether this is HTTP/1.1, or a later minor version of it: what RFC 6455 is a part of. */
export function isHttp11(version: string): boolean {
  return Number(version) >= 1.1 && Number(version) < 2
}
