import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'
import { clearTimeout, setTimeout } from 'node:timers'

/** What a test framework's fake timers replace. */
export type TimerName = 'setTimeout' | 'setInterval'

/** The fake timers of the test framework, as an application's tests enable them; until they are disposed of. */
export function frameworkTimers({ mock }: TestContext, ...apis: TimerName[]): Disposable {
  mock.timers.enable({ apis })
  // Not every runtime resets them by itself behind a test, or calls its hooks.
  return { [Symbol.dispose]: () => mock.timers.reset() }
}

/** `setTimeout` as the test says, also for those who import it from `node:timers`; until it is disposed of. */
export function enableFakeTimers(context: TestContext): Disposable {
  const faked = frameworkTimers(context, 'setTimeout')
  syncBuiltinESMExports()
  return {
    [Symbol.dispose]() {
      faked[Symbol.dispose]()
      syncBuiltinESMExports()
    },
  }
}

/**
 * Why nothing is out of the reach of the framework's fake timers; `undefined` where what was imported from `node:timers`
 * before is, as on Node.
 */
export function fakedEverywhere(context: TestContext): string | undefined {
  let reached = false
  using _faked = frameworkTimers(context, 'setTimeout')
  const timer = setTimeout(() => {
    reached = true
  }, 0)
  context.mock.timers.tick(1)
  clearTimeout(timer)
  return reached ? 'the fake timers of this runtime reach node:timers too' : undefined
}
