import { type CodeOf, ProtocolError, UsageError } from '../session/errors.ts'
import { isThenable } from '../session/is-thenable.ts'
import type { Data } from '../session/message.ts'
import { describeIssue, type StandardSchema } from '../session/schema.ts'
import { CloseCode } from '../wire/close-code.ts'
import { abortable } from './abortable.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'
import { signalOf } from './options.ts'
import { silent } from './silent.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How JSON messages are read. */
export interface JsonOptions {
  /**
   * Gets each message that is not JSON, or not what the schema wants; then the connection stays, and the next message is
   * read. Default: the connection is closed with 1007.
   */
  readonly onInvalid?: ((error: ProtocolError, data: Data) => void | Promise<void>) | undefined
  /**
   * Ends the iteration with the signal's reason while it waits for a message, which is not lost then, or for the schema's
   * answer to one.
   */
  readonly signal?: AbortSignal | undefined
}

/** @throws UsageError naming what is wrong */
export function checkJsonOptions(schema: StandardSchema | undefined, options: JsonOptions): void {
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function')
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      'json takes a Standard Schema validator, and options behind it',
    )
  signalOf(options, ['onInvalid', 'signal'])
  const { onInvalid } = options
  if (onInvalid !== undefined && typeof onInvalid !== 'function')
    throw new UsageError('ERR_WS_INVALID_OPTION', `onInvalid must be a function, not ${typeof onInvalid}`)
}

/**
 * The messages of a connection as JSON values. One that cannot be used closes the connection with 1007; the
 * iteration then ends as it does for every connection that failed, and what came behind that message is not used.
 */
export function jsonIterator<T>(
  link: Link,
  schema: StandardSchema<T> | undefined,
  { onInvalid, signal }: JsonOptions,
): AsyncIterableIterator<T, undefined> {
  const take = (owner: object) => link.inbox.take('string', signal, owner)
  const messages = messageIterator(link, take, ({ data }) => data)
  let failed = false
  const step = async (): Promise<IteratorResult<T, undefined>> => {
    while (!failed) {
      const { done, value: data } = await messages.next()
      if (done === true) return { done, value: undefined }
      const result = await parse(data, schema, signal)
      if (!(result instanceof ProtocolError)) {
        if (!failed) return { done: false, value: result.value }
      } else if (onInvalid === undefined) {
        failed = true
        await link.close(result.closeCode, result.message, result)
      } else {
        await onInvalid(result, data)
      }
    }
    throw await link.ended()
  }
  const iterator: AsyncIterableIterator<T, undefined> = {
    // Nobody need wait for it.
    next: () => silent(step()),
    async return() {
      await messages.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}

async function parse<T>(
  data: Data,
  schema: StandardSchema<T> | undefined,
  signal: AbortSignal | undefined,
): Promise<{ readonly value: T } | ProtocolError> {
  let value: unknown
  try {
    value = JSON.parse(typeof data === 'string' ? data : decoder.decode(data))
  } catch (cause) {
    return invalid('ERR_WS_INVALID_JSON', 'message is not JSON', { cause })
  }
  if (schema === undefined) return { value: value as T }
  const validated = schema['~standard'].validate(value)
  // Who gives up need not wait for a validator that takes its time.
  const result =
    isThenable(validated) && signal !== undefined
      ? await abortable(Promise.resolve(validated), signal)
      : await validated
  if (result.issues === undefined) return result
  return invalid('ERR_WS_INVALID_MESSAGE', describeIssue(result.issues))
}

function invalid(code: CodeOf<'ProtocolError'>, reason: string, options?: ErrorOptions): ProtocolError {
  return new ProtocolError(code, CloseCode.InvalidPayload, reason, options)
}
