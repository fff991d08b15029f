import { UsageError } from '../session/errors.ts'
import { isToken, maxSubprotocols } from '../wire/header-grammar.ts'
import { isAbortSignal } from './is-abort-signal.ts'

/**
 * Refuses options that do not exist: a misspelt limit would otherwise be no limit.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming the option and those there are
 */
export function checkNames(options: object, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new UsageError('ERR_WS_INVALID_OPTION', `options must be an object, not ${String(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      `${name} is not an option; the options are ${names.join(', ')}`,
    )
  }
}

/** @throws UsageError `ERR_WS_INVALID_OPTION` for what is no signal */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isAbortSignal(signal))
    throw new UsageError('ERR_WS_INVALID_OPTION', 'signal must be an AbortSignal')
}

/**
 * The signal of options that may have others, too.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
 */
export function signalOf(
  options: { readonly signal?: AbortSignal | undefined } | undefined,
  names: readonly string[] = ['signal'],
): AbortSignal | undefined {
  if (options === undefined) return undefined
  checkNames(options, names)
  if (isAbortSignal(options))
    throw new UsageError('ERR_WS_INVALID_OPTION', 'options must be an object with a signal, not the signal')
  checkSignal(options.signal)
  return options.signal
}

/** @throws UsageError `ERR_WS_INVALID_OPTION` for what cannot be a list of subprotocols (RFC 6455 section 4.1) */
export function checkSubprotocols(subprotocols: unknown): void {
  if (!Array.isArray(subprotocols)) {
    throw new UsageError('ERR_WS_INVALID_OPTION', 'subprotocols must be a list of names')
  }
  if (subprotocols.length > maxSubprotocols) {
    throw new UsageError('ERR_WS_INVALID_OPTION', `subprotocols: at most ${maxSubprotocols}`)
  }
  for (const name of subprotocols) {
    if (typeof name === 'string' && isToken(name)) continue
    throw new UsageError('ERR_WS_INVALID_OPTION', `subprotocols: ${JSON.stringify(name)} is not a token`)
  }
  if (new Set(subprotocols).size < subprotocols.length) {
    throw new UsageError('ERR_WS_INVALID_OPTION', 'subprotocols: each may be named once')
  }
}
