// Debian's aiohttp: the scenarios of matrix/.

import { aiohttp } from './matrix/peer-kind.ts'
import { runMatrix } from './matrix/run-matrix.ts'

runMatrix(aiohttp)
