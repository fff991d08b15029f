import type { WebSocket } from '../../src/client/websocket.ts'

/** What a socket has told: a line for each event, with the state it was in. */
export interface Watched {
  readonly socket: WebSocket
  readonly log: string[]
  /** Resolves behind the `close` event. */
  readonly closed: Promise<void>
  /** Resolves behind the `open` event. */
  readonly opened: Promise<void>
}

/** Notes all events of a socket. */
export function watchSocket(socket: WebSocket): Watched {
  const log: string[] = []
  const happens = (type: string): Promise<void> =>
    new Promise((resolve) => socket.addEventListener(type, () => resolve()))
  socket.addEventListener('open', () => log.push(`open ${socket.readyState}`))
  socket.addEventListener('message', ({ data }) => {
    const shown = typeof data === 'string' ? data : Object.prototype.toString.call(data)
    log.push(`message ${socket.readyState} ${shown}`)
  })
  socket.addEventListener('error', () => log.push(`error ${socket.readyState}`))
  socket.addEventListener('close', ({ code, reason, wasClean }) =>
    log.push(`close ${socket.readyState} ${code} ${reason}${wasClean ? '' : ' unclean'}`),
  )
  return { socket, log, closed: happens('close'), opened: happens('open') }
}
