import { UsageError } from '../session/errors.ts'

/**
 * A value as the text of a JSON message.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for what has no form in JSON
 */
export function stringify(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'sendJson: the value cannot be written as JSON', {
      cause,
    })
  }
  if (text === undefined) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', `sendJson: JSON has no form for ${typeof value}`)
  }
  return text
}
