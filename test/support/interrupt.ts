/**
 * Ctrl-C, for commands that end in order: the first one aborts the signal, one later than that ends the process with 130.
 * A terminal signals npm and us, and npm passes it on, so that one Ctrl-C may arrive twice.
 */
export function interrupted(onFirst: () => void = () => {}): AbortSignal {
  const controller = new AbortController()
  let first = 0
  process.on('SIGINT', () => {
    if (!controller.signal.aborted) {
      first = performance.now()
      onFirst()
      controller.abort()
    } else if (performance.now() - first > 300) process.exit(130)
  })
  return controller.signal
}
