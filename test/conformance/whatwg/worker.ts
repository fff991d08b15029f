// A worker that opens a socket, and tells when it is open.

import { parentPort, workerData } from 'node:worker_threads'
import { WebSocket } from '../../../src/websocket.ts'

const socket = new WebSocket(workerData as string)
socket.addEventListener('open', () => parentPort?.postMessage('open'))
parentPort?.postMessage('made')
