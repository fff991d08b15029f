import type { CompressionOptions } from 'silverback'
import type { Bench } from './bench.ts'
import type { Ability, Side } from './peer-kind.ts'

/** One row of the matrix. */
export interface Scenario {
  readonly name: string
  /** What the peer has to be; default: either. */
  readonly side?: Side
  /** What the peer has to be able to do. */
  readonly needs?: readonly Ability[]
  run(bench: Bench): Promise<void>
}

/** What carries messages is tried in each of these. */
export interface Variant {
  /** Of the scenario's name. */
  readonly suffix: string
  readonly compression: boolean | CompressionOptions
}

export const variants: readonly Variant[] = [
  { suffix: '', compression: false },
  { suffix: ', compressed', compression: true },
  {
    suffix: ', compressed with takeover',
    compression: { sendTakeover: true, receiveTakeover: true, threshold: 0 },
  },
]
