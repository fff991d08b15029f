// What goes wrong in one run, chosen by its seed.

import type { Rng } from '../generate.ts'
import type { Carriage, Direction, Fault, FaultKind, FaultPlan } from '../support/fault-proxy.ts'

/** Faults that lose bytes or connections; the others only take time. */
const deadly: readonly FaultKind[] = [
  'reset',
  'resetClient',
  'resetServer',
  'cut',
  'end',
  'stall',
  'stallBoth',
  'vanish',
]
const directions: readonly Direction[] = ['toServer', 'toClient']

function carriage(rng: Rng, bytes: number): Carriage {
  const kind = rng.below(8)
  // A turn for each byte is for connections that carry few.
  const pieces = kind === 0 && bytes < 20_000 ? 1 : kind < 3 ? 1 + rng.below(2_000) : undefined
  const delay = pieces === undefined && rng.once(4) ? 1 + rng.below(8) : 0
  return {
    ...(pieces === undefined ? {} : { pieces: Math.max(pieces, Math.ceil(bytes / 20_000)) }),
    delay,
    ...(rng.once(4) ? { close: { late: rng.below(120) } } : {}),
  }
}

function fault(rng: Rng, bytes: number): Fault {
  const kind = rng.pick(deadly)
  const direction = rng.pick(directions)
  // The opening handshake is some 200 bytes each way, and the closing the last few: both are worth as much as the rest.
  const atByte = rng.once(4) ? rng.below(260) : 150 + rng.below(bytes + 400)
  const when = rng.once(4) ? { atTime: rng.below(80) } : { atByte }
  const heals = kind.startsWith('stall') && rng.once(2)
  return { kind, direction, ...when, ...(heals ? { for: 20 + rng.below(300) } : {}) }
}

/** A network that only takes time: everything has to come through. */
export function harmlessPlan(rng: Rng, bytes: number): FaultPlan {
  const faults: Fault[] = rng.once(3)
    ? [
        {
          kind: 'stallBoth',
          direction: 'toServer',
          atByte: 150 + rng.below(bytes + 400),
          for: rng.below(150),
        },
      ]
    : []
  return { toServer: carriage(rng, bytes), toClient: carriage(rng, bytes), faults }
}

/** A network that fails once or twice, if the connection lives that long. */
export function deadlyPlan(rng: Rng, bytes: number): FaultPlan {
  const early = (lane: Carriage): Carriage => (rng.once(5) ? { ...lane, close: 'early' } : lane)
  const faults = Array.from({ length: 1 + rng.below(2) }, () => fault(rng, bytes))
  return { toServer: early(carriage(rng, bytes)), toClient: early(carriage(rng, bytes)), faults }
}
