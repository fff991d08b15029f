import { UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { RSV } from '../wire/frame-header.ts'
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

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function isFunctionOrAbsent(value: unknown): boolean {
  return value === undefined || isFunction(value)
}

/** Nothing but reserved bits: another one would make another frame of it. */
function isReserved(rsv: unknown): boolean {
  return typeof rsv === 'number' && (rsv & RSV) === rsv
}

type Member = readonly [isRight: (value: unknown) => boolean, wanted: string]

const members: readonly (readonly [name: string, member: Member])[] = Object.entries({
  name: [(name) => typeof name === 'string', 'a string'],
  rsv: [isReserved, 'made of the bits 0x40, 0x20 and 0x10'],
  encode: [isFunction, 'a function'],
  decode: [isFunction, 'a function'],
  variant: [(variant) => variant === undefined || typeof variant === 'string', 'a string or absent'],
  compresses: [
    (compresses) => compresses === undefined || typeof compresses === 'boolean',
    'true, false or absent',
  ],
  pieceEncoder: [isFunctionOrAbsent, 'a function or absent'],
  decoder: [isFunctionOrAbsent, 'a function or absent'],
  setLevel: [isFunctionOrAbsent, 'a function or absent'],
  idle: [isFunctionOrAbsent, 'a function or absent'],
  dispose: [isFunctionOrAbsent, 'a function or absent'],
} satisfies { readonly [Name in keyof Required<Extension>]: Member })

/**
 * Checks what a factory made, so that no message comes upon it.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when that is no extension
 */
export function checkExtension(what: string, made: unknown): Extension {
  if (typeof made !== 'object' || made === null || isStrayPromise(made))
    throw wrongAnswer(what, 'an extension', made)
  for (const [name, [isRight, wanted]] of members) {
    if (isRight((made as Record<string, unknown>)[name])) continue
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      `${what} must return an extension, whose ${name} is ${wanted}`,
    )
  }
  return made as Extension
}

/** Lets go of an extension that was made and is not taken after all. What that throws, or rejects with, is nobody's. */
export function discard(extension: Extension): void {
  try {
    isStrayPromise(extension.dispose?.())
  } catch {
    // The handshake goes on without it.
  }
}
