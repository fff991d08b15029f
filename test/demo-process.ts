// The demo as its users start it.

import { type Program, runProgram } from './program.ts'

/** Runs the demo with these arguments. */
export function runDemo(...args: readonly string[]): Program {
  return runProgram('apps/demo/main.ts', ...args)
}

/** Runs the demo on a free port and waits until it serves. */
export async function startDemo(...args: readonly string[]): Promise<Program & { readonly url: string }> {
  const demo = runDemo('--port', '0', ...args)
  const [, url = ''] = await demo.output(/ is at (\S+)/)
  return { ...demo, url }
}
