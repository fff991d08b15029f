// Debian's websockets: the scenarios of matrix/.

import { websockets } from './matrix/peer-kind.ts'
import { runMatrix } from './matrix/run-matrix.ts'

runMatrix(websockets)
