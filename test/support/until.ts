import assert from 'node:assert/strict'

/**
 * Resolves as soon as the condition holds, and fails when it does not within 10 s: for what no event tells.
 *
 * @param what - completes "still waiting for ..."
 */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, `still waiting for ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Whether a promise is still pending once all that is ready has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const settle = (): void => {
    pending = false
  }
  promise.then(settle, settle)
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
  return pending
}
