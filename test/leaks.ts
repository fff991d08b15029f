// Finds what a test file leaves behind: sockets, servers, child processes, timers.
import assert from 'node:assert/strict'
import { setImmediate, setTimeout } from 'node:timers/promises'

/** What the event loop is kept alive by: `TCPSocketWrap` -> 2. */
function countResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    // Reads of the loader and of the test runner, which come to an end by themselves.
    if (!name.startsWith('FSReq')) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

// Both streams open lazily; a test's first output must not look like a leaked pipe.
process.stdout.fd
process.stderr.fd
const baseline = countResources()

/** `TCPSocketWrap (2), Timeout (1)`: what there is now beyond the time when this module was loaded. */
function leaks(): string {
  return [...countResources()]
    .map(([name, count]) => ({ name, extra: count - (baseline.get(name) ?? 0) }))
    .filter(({ extra }) => extra > 0)
    .map(({ name, extra }) => `${name} (${extra})`)
    .join(', ')
}

/**
 * Fails when something is left that keeps the process alive and was not there when this module was loaded. What is
 * just closing gets `within` milliseconds, 2000 by default, to be gone. An unreferenced timer or socket is not seen.
 *
 * As the last hook of a file: `after(() => assertNoLeaks())`.
 */
export async function assertNoLeaks(within = 2000): Promise<void> {
  const deadline = performance.now() + within
  for (let left = leaks(); left !== ''; left = leaks()) {
    if (performance.now() > deadline) assert.fail(`left behind: ${left}`)
    await setTimeout(10)
    // The timer that has just fired still counts until its turn of the event loop is over.
    await setImmediate()
  }
}
