// Debian's websocket-client: the scenarios of matrix/.

import { websocketClient } from './matrix/peer-kind.ts'
import { runMatrix } from './matrix/run-matrix.ts'

runMatrix(websocketClient)
