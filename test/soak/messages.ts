// What the processes of a soak say to each other.

import type { Reading } from './gauge.ts'
import type { Plant } from './options.ts'

/** To a process. */
export type Order =
  | { readonly order: 'serve'; readonly plant: Plant | undefined; readonly connections: number }
  | {
      readonly order: 'load'
      readonly url: string
      readonly connections: number
      readonly seed: number
    }
  | { readonly order: 'measure' }
  /** Clients hang up; a server stops. */
  | { readonly order: 'stop' }

/** From a process. */
export type Report =
  | { readonly report: 'serving'; readonly url: string }
  | { readonly report: 'loading' }
  | {
      readonly report: 'measured'
      readonly reading: Reading
      readonly counts: Readonly<Record<string, number>>
    }
  | { readonly report: 'unexpected'; readonly what: string }
  | { readonly report: 'stopped' }

/** Tells the parent. */
export function report(message: Report): void {
  process.send?.(message)
}
