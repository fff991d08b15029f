// Upgraders beside web frameworks, on the frameworks' own HTTP servers: each side keeps what is its own.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { serve as serveHono } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { allowOrigins, dial, HandshakeError, serve, Upgrader } from 'silverback'
import { assertNoLeaks } from '../test/leaks.ts'

after(() => assertNoLeaks())

/** An application of a framework with two routes, `GET /` and `POST /json`, which listens. */
interface App {
  readonly server: Server
  close(): Promise<unknown>
}

async function expressApp(): Promise<App> {
  const app = express()
  app.use(express.json())
  app.get('/', (_request, response) => void response.send('hello'))
  app.post('/json', (request, response) => void response.json({ got: request.body }))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, close: () => new Promise((resolve) => server.close(resolve)) }
}

async function fastifyApp(): Promise<App> {
  const app = Fastify()
  app.get('/', () => 'hello')
  app.post('/json', (request) => ({ got: request.body }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { server: app.server, close: () => app.close() }
}

async function honoApp(): Promise<App> {
  const app = new Hono()
  app.get('/', (context) => context.text('hello'))
  app.post('/json', async (context) => context.json({ got: await context.req.json() }))
  const server = serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  return { server, close: () => new Promise((resolve) => server.close(resolve)) }
}

const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`

/** The application answers its own requests. */
async function assertRoutesWork(server: Server): Promise<void> {
  const base = `http://${addressOf(server)}`
  // One connection per request: what stays open would hold up the end.
  const headers = { connection: 'close' }
  assert.equal(await (await fetch(base, { headers })).text(), 'hello')
  const posted = await fetch(`${base}/json`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{"n":1}',
  })
  assert.deepEqual(await posted.json(), { got: { n: 1 } })
  // Not an upgrade, so not ours: the framework says that it has no such page.
  assert.equal((await fetch(`${base}/echo`, { headers })).status, 404)
}

async function assertRefused(url: string, status: number, origin?: string): Promise<void> {
  await assert.rejects(
    dial(url, origin === undefined ? {} : { headers: { origin } }),
    (error) => error instanceof HandshakeError && error.code === 'ERR_WS_STATUS' && error.status === status,
    `${url} with origin ${origin}`,
  )
}

const frameworks = { 'Express 5': expressApp, 'Fastify 5': fastifyApp, Hono: honoApp }

for (const [framework, start] of Object.entries(frameworks)) {
  describe(framework, () => {
    test('routes and WebSockets live on one port', async () => {
      const { server, close } = await start()
      const upgrader = new Upgrader({ path: '/echo' })
      server.on(
        'upgrade',
        upgrader.handler(async (conn) => {
          for await (const message of conn) conn.send(message)
        }),
      )
      await assertRoutesWork(server)
      const conn = await dial(`ws://${addressOf(server)}/echo?token=x`)
      assert.equal([...upgrader.connections][0]?.request.url, '/echo?token=x')
      for (const message of ['hello', Buffer.alloc(100_000, 'x')]) {
        conn.send(message)
        assert.deepEqual(await conn.read(), message)
      }
      await assertRoutesWork(server)
      await conn.close()
      await close()
    })

    test('several upgraders share the server; a path that none of them has is 404', async () => {
      const { server, close } = await start()
      const shout = new Upgrader({ path: '/shout' })
      const whisper = new Upgrader({ path: '/whisper', checkOrigin: allowOrigins('https://friend.example') })
      server.on(
        'upgrade',
        shout.handler((conn) => conn.onMessage((data) => conn.send(String(data).toUpperCase()))),
      )
      server.on(
        'upgrade',
        whisper.handler((conn) => conn.onMessage((data) => conn.send(String(data).toLowerCase()))),
      )
      const base = `ws://${addressOf(server)}`
      const [loud, quiet] = await Promise.all([
        dial(`${base}/shout`),
        dial(`${base}/whisper`, { headers: { origin: 'https://friend.example' } }),
      ])
      loud.send('Hello')
      quiet.send('Hello')
      assert.deepEqual([await loud.read(), await quiet.read()], ['HELLO', 'hello'])
      assert.deepEqual([shout.connections.size, whisper.connections.size], [1, 1])

      await assertRefused(`${base}/other`, 404)
      await assertRefused(`${base}/`, 404)
      await assertRefused(`${base}/shout`, 403, 'https://friend.example')
      await assertRefused(`${base}/whisper`, 403, 'https://foe.example')
      await (await dial(`${base}/shout`, { headers: { origin: base.replace('ws', 'http') } })).close()
      await assertRoutesWork(server)
      await Promise.all([loud.close(), quiet.close()])
      await close()
    })

    test('serve() on its server drains the WebSockets and leaves the rest alone', async () => {
      const { server, close } = await start()
      const feed = await serve({ server, path: '/feed' }, (conn) => void conn.send('news'))
      assert.equal(feed.url, `ws://${addressOf(server)}/feed`)
      const conn = await dial(feed.url)
      assert.equal(await conn.read(), 'news')
      await feed.close()
      assert.equal((await conn.closed).code, 1001)
      await assertRoutesWork(server)
      await close()
    })
  })
}
