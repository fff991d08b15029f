import {
  type CompressionOptions,
  deflateExtension,
  resolveCompression,
} from '../protocol/deflate-negotiation.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { UsageError } from '../session/errors.ts'
import { isToken } from '../wire/header-grammar.ts'

/** Which extensions a connection may use: the same for servers and clients. */
export interface ExtensionOptions {
  /** Compresses messages by permessage-deflate (RFC 7692), where the other side does too. `true`: with the defaults. Default false. */
  readonly compression?: boolean | CompressionOptions | undefined
  /** Extensions of your own (RFC 6455 section 9), applied to what is sent in this order, before compression. Default: none. */
  readonly extensions?: readonly ExtensionFactory[] | undefined
}

/** The names of these options. */
export const extensionOptionNames: readonly (keyof ExtensionOptions)[] = ['compression', 'extensions']

/**
 * The extensions to negotiate, in order.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
 */
export function resolveExtensions({
  compression,
  extensions = [],
}: ExtensionOptions): readonly ExtensionFactory[] {
  if (!Array.isArray(extensions)) throw invalid('extensions must be a list of extension factories')
  for (const factory of extensions) checkFactory(factory)
  const resolved = resolveCompression(compression)
  const all = resolved === undefined ? [...extensions] : [...extensions, deflateExtension(resolved)]
  const names = all.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) throw invalid(`extensions: ${twice} is there twice`)
  return all
}

function checkFactory(factory: Partial<ExtensionFactory> | undefined | null): void {
  const { name } = factory ?? {}
  if (typeof name !== 'string' || !isToken(name))
    throw invalid(`extensions: the name ${JSON.stringify(name)} is not a token`)
  for (const method of ['offers', 'accept', 'negotiate'] as const) {
    if (typeof factory?.[method] !== 'function') throw invalid(`extensions: ${name} has no method ${method}`)
  }
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
