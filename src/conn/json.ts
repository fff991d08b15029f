import { type CodeOf, ProtocolError } from '../session/errors.ts'
import { describeIssue, type StandardSchema } from '../session/schema.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The messages of a connection as JSON values. One that cannot be used closes the connection with 1007; the
 * iteration then ends as it does for every connection that failed, and what came behind that message is not used.
 */
export async function* jsonMessages<T>(
  link: Link,
  schema: StandardSchema<T> | undefined,
): AsyncGenerator<T, undefined> {
  const messages = {
    [Symbol.asyncIterator]: () => messageIterator(link, 'string', (message) => message.data),
  }
  for await (const data of messages) {
    let value: unknown
    try {
      value = JSON.parse(typeof data === 'string' ? data : decoder.decode(data))
    } catch (cause) {
      return refuse(link, 'ERR_WS_INVALID_JSON', 'message is not JSON', cause)
    }
    if (schema === undefined) {
      yield value as T
      continue
    }
    const result = await schema['~standard'].validate(value)
    if (result.issues !== undefined) {
      return refuse(link, 'ERR_WS_INVALID_MESSAGE', describeIssue(result.issues))
    }
    yield result.value
  }
}

async function refuse(
  link: Link,
  code: CodeOf<'ProtocolError'>,
  reason: string,
  cause?: unknown,
): Promise<never> {
  const options = cause === undefined ? undefined : { cause }
  const error = new ProtocolError(code, CloseCode.InvalidPayload, reason, options)
  await link.close(CloseCode.InvalidPayload, reason, error)
  throw link.closeError
}
