import type { IncomingMessage } from 'node:http'
import type { Conn } from '../conn/conn.ts'

/** A connection on the server's side. */
export type ServerConn = Conn & { readonly request: IncomingMessage }
