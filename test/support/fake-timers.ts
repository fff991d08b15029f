import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'

/** `setTimeout` as the test says, also for those who import it from `node:timers`. */
export function enableFakeTimers(context: TestContext): void {
  const { timers } = context.mock
  timers.enable({ apis: ['setTimeout'] })
  syncBuiltinESMExports()
  context.after(() => {
    timers.reset()
    syncBuiltinESMExports()
  })
}
