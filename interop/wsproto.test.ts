// Debian's wsproto: the scenarios of matrix/.

import { wsproto } from './matrix/peer-kind.ts'
import { runMatrix } from './matrix/run-matrix.ts'

runMatrix(wsproto)
