// Every protocol case there is.

import type { Case, Group } from './case.ts'
import { autoFragmentation } from './cases/auto-fragmentation.ts'
import { closing } from './cases/closing.ts'
import { compression } from './cases/compression.ts'
import { fragments } from './cases/fragments.ts'
import { framing } from './cases/framing.ts'
import { offers } from './cases/offers.ts'
import { opcodes } from './cases/opcodes.ts'
import { pings } from './cases/pings.ts'
import { reservedBits } from './cases/reserved-bits.ts'
import { sizes } from './cases/sizes.ts'
import { utf8 } from './cases/utf8.ts'

/** In the order of the Autobahn suite's groups. */
export const groups: readonly Group[] = [
  framing,
  pings,
  reservedBits,
  opcodes,
  fragments,
  utf8,
  closing,
  sizes,
  autoFragmentation,
  compression,
  offers,
]

/** All in one. */
export const catalogue: readonly Case[] = groups.flatMap(({ cases }) => cases)
