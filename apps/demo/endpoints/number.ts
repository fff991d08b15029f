// /ws: the article's endpoint. JSON {"Num": n} comes in and goes back out.

import type { IncomingMessage } from 'node:http'
import { type ServerConn, type StandardSchema, sameOrigin, Upgrader } from 'silverback'
import { sendText } from '../respond.ts'
import type { Endpoint } from './endpoint.ts'

interface NumberMessage {
  readonly Num: number
}

// Any library that speaks Standard Schema fits here (zod, valibot, arktype, ...); by hand it is this short.
const numberMessage: StandardSchema<NumberMessage> = {
  '~standard': {
    version: 1,
    vendor: 'silverback-demo',
    validate(value: unknown) {
      const num = typeof value === 'object' && value !== null && 'Num' in value ? value.Num : undefined
      // JSON can spell 1e999, which reads as Infinity and could not be sent back.
      if (typeof num === 'number' && Number.isFinite(num)) return { value: { Num: num } }
      return { issues: [{ message: 'expected an object with a number Num' }] }
    },
  },
}

/** The article's two refusals. A foreign page learns only that it is foreign, whatever else is wrong. */
function refusal(request: IncomingMessage): { status: number; body: string } {
  return sameOrigin(request.headers.origin, request)
    ? { status: 400, body: 'Could not open websocket connection' }
    : { status: 403, body: 'Origin not allowed' }
}

/** The number echo. */
export function numberEcho(): Endpoint {
  return {
    path: '/ws',
    upgrader: new Upgrader({
      path: '/ws',
      checkOrigin: sameOrigin,
      onReject: (_rejection, request) => refusal(request),
    }),
    handle: echoNumbers,
    plain(request, response) {
      const { status, body } = refusal(request)
      sendText(response, status, body)
    },
  }
}

async function echoNumbers(conn: ServerConn): Promise<void> {
  for await (const message of conn.json(numberMessage)) {
    if (!conn.sendJson(message)) await conn.drained()
  }
}
