import { MAX_REASON_SIZE } from '../protocol/close-payload.ts'
import type { CloseFrame } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { CloseCode, isSendableCloseCode } from '../wire/close-code.ts'

/**
 * What an application does about control frames, beside what the connection does by itself (RFC 6455 section 5.5). The
 * handlers for pings and pongs are called as the frames come, ahead of messages that wait to be read, that for Close
 * when it is about to be answered: behind what we have sent before. One that throws closes the connection with 1011.
 */
export interface ControlHandlers {
  /** A ping came, with at most 125 bytes. */
  readonly ping?: ((payload: Uint8Array) => void) | undefined
  /** A pong came, asked for or not. */
  readonly pong?: ((payload: Uint8Array) => void) | undefined
  /**
   * The peer's Close frame came; its code is 1005 where it had none. What is returned is the answer, if ours is not out
   * yet; it must not be a promise. Default: the same code without a reason.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler that only listens returns nothing
  readonly close?: ((frame: CloseFrame) => CloseFrame | undefined | void) | undefined
  /** Whether pings are answered by the connection; else answer them by `sendControl('pong', payload)`. Default true. */
  readonly autoPong?: boolean | undefined
}

const handlers = ['ping', 'pong', 'close'] as const

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function checkControlHandlers(control: ControlHandlers): void {
  for (const name of handlers) {
    if (control[name] !== undefined && typeof control[name] !== 'function')
      throw invalid(`${name} must be a function`)
  }
  const { autoPong } = control
  if (autoPong !== undefined && typeof autoPong !== 'boolean') throw invalid('autoPong must be a boolean')
}

/** The names of the handlers and settings. */
export const controlNames: readonly string[] = [...handlers, 'autoPong']

/**
 * Refuses what no Close frame may hold.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT`
 */
export function checkCloseFrame(code: number, reason: string): void {
  if (!isSendableCloseCode(code)) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', `close code ${String(code)} may not be sent`)
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason, 'utf8') > MAX_REASON_SIZE) {
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      'a close reason is a string of at most 123 bytes of UTF-8',
    )
  }
}

/** Whom a handler's failure is told. */
export interface ControlOwner {
  listenerFailed(error: unknown): void
}

/**
 * Tells the handler, if there is one, of a ping or pong.
 *
 * @param payload - a view of what is to be decoded next: the handler gets a copy
 */
export function tellControl(
  control: ControlHandlers | undefined,
  name: 'ping' | 'pong',
  payload: Buffer,
  owner: ControlOwner,
): void {
  const handle = control?.[name]
  if (handle === undefined) return
  try {
    const result: unknown = handle(Buffer.from(payload))
    // An async function is a handler, too; nobody else would hear of its rejection.
    if (typeof result === 'object' && result !== null)
      Promise.resolve(result).catch((error) => owner.listenerFailed(error))
  } catch (error) {
    owner.listenerFailed(error)
  }
}

/** The Close frame to answer the peer's with: the application's, or one with the same code. */
export function answerClose(control: ControlHandlers | undefined, frame: CloseFrame): CloseFrame {
  const answer = control?.close?.(frame)
  // From JavaScript, null says as little.
  if (answer === undefined || answer === null) return { code: frame.code, reason: '' }
  if (isStrayPromise(answer))
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'the close handler must answer at once, not by a promise')
  if (answer.code !== CloseCode.NoStatus) checkCloseFrame(answer.code, answer.reason)
  return answer
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', `onControl: ${message}`)
}
