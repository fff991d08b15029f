/** Whether there is a network at all, where the runtime knows. */
export interface NetworkStatus {
  /** `false` only when it is certain that there is none. */
  readonly online: boolean
  /** Calls `listener` when there is a network again. Returns what takes that back. */
  onOnline(listener: () => void): () => void
}

/** The part of a runtime that knows, in browsers and what is built on them. Node's `navigator` has no `onLine`. */
interface Runtime {
  readonly navigator?: { readonly onLine?: unknown }
  addEventListener?(type: 'online', listener: () => void): void
  removeEventListener?(type: 'online', listener: () => void): void
}

/** What this runtime knows of its network: nothing, in Node, and then it counts as there. */
export function networkStatus(runtime: Runtime = globalThis as Runtime): NetworkStatus {
  return {
    get online() {
      // Without the event nobody would be told that it is there again.
      return runtime.navigator?.onLine !== false || typeof runtime.addEventListener !== 'function'
    },
    onOnline(listener) {
      runtime.addEventListener?.('online', listener)
      return () => runtime.removeEventListener?.('online', listener)
    },
  }
}
