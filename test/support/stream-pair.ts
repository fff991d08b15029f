import { type ConnectedPair, type ConnectedPairOptions, connectedPair } from './connected-pair.ts'

const MiB = 1024 * 1024

/** Messages longer than are taken whole may come as streams. */
export const streamLimits = { maxStreamSize: 64 * MiB }

/** A connected pair for long messages, whose server's handlers may fail without a word. */
export function streamPair(options: ConnectedPairOptions = {}): Promise<ConnectedPair> {
  return connectedPair({
    server: { limits: streamLimits, onError() {}, ...options.server },
    client: { limits: streamLimits, ...options.client },
  })
}

/** Everything that is read until the end. */
export async function readAll<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const chunks: T[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}
