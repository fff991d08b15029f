// The same scenes on a pair in memory and over real sockets: what both sides see of them has to be the same.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import {
  type CloseInfo,
  type Conn,
  dial,
  HandshakeError,
  type ServerConn,
  serve,
  WebSocketError,
} from 'silverback'
import { pair } from 'silverback/testing'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

interface Ends {
  readonly client: Conn
  readonly server: ServerConn
}

interface Terms {
  readonly maxMessageSize?: number
  readonly compression?: boolean
  readonly offered?: readonly string[]
  readonly supported?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

type Scene = (ends: Ends) => Promise<unknown>

async function inMemory(terms: Terms, scene: Scene): Promise<unknown> {
  const { maxMessageSize, compression, offered = [], supported = [], headers = {} } = terms
  await using both = pair({
    compression,
    limits: maxMessageSize === undefined ? {} : { maxMessageSize },
    request: { headers },
    client: { subprotocols: offered },
    server: { subprotocols: supported },
  })
  return await scene(both)
}

async function overSockets(terms: Terms, scene: Scene): Promise<unknown> {
  const { maxMessageSize, compression, offered = [], supported = [], headers = {} } = terms
  const limits = maxMessageSize === undefined ? {} : { maxMessageSize }
  const accepted: ServerConn[] = []
  const options = { compression, limits, subprotocols: supported, onReject: () => undefined }
  await using server = await serve(options, (conn) => void accepted.push(conn))
  const client = await dial(server.url, { compression, limits, subprotocols: offered, headers })
  try {
    return await scene({ client, server: accepted[0] as ServerConn })
  } finally {
    client.terminate()
  }
}

/** An end without what differs by nature: counters, and the words of the system. */
function essence({ code, reason, wasClean, by, received, sent, error }: CloseInfo): unknown {
  const why = error instanceof WebSocketError ? `${error.code} ${error.message}` : error !== undefined
  return { code, reason, wasClean, by, received, sent, why }
}

async function ends({ client, server }: Ends): Promise<unknown> {
  return [essence(await client.closed), essence(await server.closed)]
}

const scenes: Readonly<Record<string, { readonly terms?: Terms; readonly scene: Scene }>> = {
  'the client closes': {
    scene: (both) => {
      void both.client.close(4000, 'enough')
      return ends(both)
    },
  },
  'the server closes with messages on their way': {
    scene: async (both) => {
      for (let i = 0; i < 3; i++) both.server.send(`${i}`)
      void both.server.close(1001)
      const messages = []
      for await (const message of both.client) messages.push(message)
      return [messages, await ends(both)]
    },
  },
  'both close at once': {
    scene: (both) => {
      void both.client.close(4000)
      void both.server.close(4001)
      return ends(both)
    },
  },
  'the client is dropped': {
    scene: (both) => {
      both.client.terminate()
      return ends(both)
    },
  },
  'the server is dropped': {
    scene: (both) => {
      both.server.terminate()
      return ends(both)
    },
  },
  'a message is too long': {
    terms: { maxMessageSize: 10 },
    scene: (both) => {
      both.client.send('12345678901')
      return ends(both)
    },
  },
  'a message is not the JSON it should be': {
    scene: async (both) => {
      both.client.send('{')
      const values = both.server.json()[Symbol.asyncIterator]()
      const error = await values.next().catch((reason: unknown) => String(reason))
      return [error, await ends(both)]
    },
  },
  'what was agreed on': {
    terms: { compression: true, offered: ['b', 'a'], supported: ['a'] },
    scene: async ({ client, server }) => {
      client.send('x'.repeat(1_000))
      await server.read()
      const { bytesSent, messagesSent, encoding } = client.stats
      return [client.subprotocol, client.extensions, server.extensions, bytesSent, messagesSent, encoding]
    },
  },
  'a page of another origin': {
    terms: { headers: { origin: 'https://elsewhere.example' } },
    scene: async () => assert.fail('it was let in'),
  },
}

describe('a pair does as sockets do', () => {
  for (const [name, { terms = {}, scene }] of Object.entries(scenes)) {
    test(name, async () => {
      const [memory, sockets] = await Promise.all(
        [inMemory, overSockets].map((run) =>
          run(terms, scene).catch((error) => {
            assert.ok(error instanceof HandshakeError, String(error))
            const { code, message, status, body } = error
            return { code, message, status, body }
          }),
        ),
      )
      assert.deepEqual(memory, sockets)
    })
  }
})
