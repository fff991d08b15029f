// The examples as their readers start them.

import { type Program, runProgram } from './program.ts'

/** Runs a file of `examples/` with these arguments. */
export function runExample(file: string, ...args: readonly string[]): Program {
  return runProgram(`examples/${file}`, ...args)
}

/** Runs an example that serves, on a free port, and waits until it does. Its address ends without a slash. */
export async function startServer(
  file: string,
  ...args: readonly string[]
): Promise<Program & { readonly origin: string }> {
  const example = runExample(file, '--port', '0', ...args)
  const [, address = ''] = await example
    .output(/ is at (?:ws|http):\/\/(\S+?)\/\S*\s/)
    .catch(async (error) => {
      await example[Symbol.asyncDispose]()
      throw error
    })
  return { ...example, origin: `ws://${address}` }
}
