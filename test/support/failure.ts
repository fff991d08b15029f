import assert from 'node:assert/strict'
import { HandshakeError } from 'silverback'

/** What a promise rejects with, which it has to. */
export async function failure(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  const reason: unknown = await promise.then(
    () => assert.fail('should have failed'),
    (error: unknown) => error,
  )
  assert.ok(reason instanceof Error, String(reason))
  return reason
}

/** Why a connection was not made. */
export async function refused(promise: Promise<unknown>): Promise<HandshakeError> {
  const error = await failure(promise)
  assert.ok(error instanceof HandshakeError, String(error))
  return error
}
