import { type CodeOf, ProtocolError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { describeIssue, type StandardSchema } from '../session/schema.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How JSON messages are read. */
export interface JsonOptions {
  /**
   * Gets each message that is not JSON, or not what the schema wants; then the connection stays, and the next message is
   * read. Default: the connection is closed with 1007.
   */
  readonly onInvalid?: ((error: ProtocolError, data: Data) => void | Promise<void>) | undefined
  /** Ends the iteration with the signal's reason while it waits; no message is lost. */
  readonly signal?: AbortSignal | undefined
}

/**
 * The messages of a connection as JSON values. One that cannot be used closes the connection with 1007; the
 * iteration then ends as it does for every connection that failed, and what came behind that message is not used.
 */
export async function* jsonMessages<T>(
  link: Link,
  schema: StandardSchema<T> | undefined,
  { onInvalid, signal }: JsonOptions,
): AsyncGenerator<T, undefined> {
  const take = () => link.inbox.take('string', signal)
  const messages = { [Symbol.asyncIterator]: () => messageIterator(link, take, (message) => message.data) }
  for await (const data of messages) {
    const result = await parse(data, schema)
    if (!(result instanceof ProtocolError)) {
      yield result.value
    } else if (onInvalid === undefined) {
      await link.close(result.closeCode, result.message, result)
      throw link.closeError
    } else {
      await onInvalid(result, data)
    }
  }
}

async function parse<T>(
  data: Data,
  schema: StandardSchema<T> | undefined,
): Promise<{ readonly value: T } | ProtocolError> {
  let value: unknown
  try {
    value = JSON.parse(typeof data === 'string' ? data : decoder.decode(data))
  } catch (cause) {
    return invalid('ERR_WS_INVALID_JSON', 'message is not JSON', { cause })
  }
  if (schema === undefined) return { value: value as T }
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result
  return invalid('ERR_WS_INVALID_MESSAGE', describeIssue(result.issues))
}

function invalid(code: CodeOf<'ProtocolError'>, reason: string, options?: ErrorOptions): ProtocolError {
  return new ProtocolError(code, CloseCode.InvalidPayload, reason, options)
}
