// Debian's gorilla: the scenarios of matrix/.

import { gorilla } from './matrix/peer-kind.ts'
import { runMatrix } from './matrix/run-matrix.ts'

runMatrix(gorilla)
