import { payloadFault } from '../protocol/fault.ts'
import { describeIssue, type StandardSchema } from '../session/schema.ts'
import type { Data } from '../session/session.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The messages of a connection as JSON values. What cannot be used ends the connection with 1007; the iteration
 * then ends as it does for every connection that failed.
 */
export async function* jsonMessages<T>(
  link: Link,
  schema: StandardSchema<T> | undefined,
): AsyncGenerator<T, undefined> {
  const messages = {
    [Symbol.asyncIterator]: () => messageIterator(link, 'string', (message) => message.data),
  }
  for await (const data of messages) {
    const value = parse(link, data)
    if (value === undefined) break
    if (schema === undefined) {
      yield value.json as T
      continue
    }
    const result = await schema['~standard'].validate(value.json)
    if (result.issues !== undefined) {
      link.fail(payloadFault('ERR_WS_INVALID_MESSAGE', describeIssue(result.issues)))
      break
    }
    yield result.value
  }
  // Here the messages have ended in order, or one could not be used: then those behind it do not count either.
  if (link.state === 'open') return
  await link.closed
  if (link.closeInfo?.error !== undefined) throw link.closeError
}

function parse(link: Link, data: Data): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(typeof data === 'string' ? data : decoder.decode(data)) }
  } catch (cause) {
    link.fail(payloadFault('ERR_WS_INVALID_JSON', 'message is not JSON'), cause)
    return undefined
  }
}
