import { UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import type { Extension } from './extension.ts'

/**
 * What is wrong with an answer of an extension, which may be the application's. Its promise is nobody's, and harms nobody.
 *
 * @param what - such as `encode of x-turning`
 * @throws what looking at the answer throws
 */
export function wrongAnswer(what: string, wanted: string, answer: unknown): UsageError {
  const given = isStrayPromise(answer) ? 'a promise' : answer === null ? 'null' : typeof answer
  return new UsageError('ERR_WS_INVALID_ARGUMENT', `${what} must return ${wanted}, not ${given}`)
}

/** @throws UsageError `ERR_WS_INVALID_ARGUMENT` unless an extension's answer is bytes */
export function checkBytes(what: string, extension: Extension, answer: unknown): Uint8Array {
  if (answer instanceof Uint8Array) return answer
  throw wrongAnswer(`${what} of ${extension.name}`, 'a Uint8Array', answer)
}

/**
 * Checks what a factory made, so that no message comes upon it.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when that is no extension
 */
export function checkExtension(what: string, made: unknown): Extension {
  if (typeof made !== 'object' || made === null || isStrayPromise(made))
    throw wrongAnswer(what, 'an extension', made)
  const { name, rsv, encode, decode } = made as { readonly [Name in keyof Extension]?: unknown }
  const isExtension =
    typeof name === 'string' &&
    typeof rsv === 'number' &&
    typeof encode === 'function' &&
    typeof decode === 'function'
  if (isExtension) return made as Extension
  throw new UsageError(
    'ERR_WS_INVALID_ARGUMENT',
    `${what} must return an extension: a name, the bits of rsv, and the functions encode and decode`,
  )
}

/** Lets go of an extension that was made and is not taken after all. What that throws, or rejects with, is nobody's. */
export function discard(extension: Extension): void {
  try {
    isStrayPromise(extension.dispose?.())
  } catch {
    // The handshake goes on without it.
  }
}
