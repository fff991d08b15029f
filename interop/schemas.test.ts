// Validators that implement Standard Schema, as `conn.json` takes them.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dial, ProtocolError, type StandardSchema, serve } from 'silverback'
import * as v from 'valibot'
import { z } from 'zod'

interface Order {
  readonly item: string
  readonly count: number
}

const schemas: readonly [name: string, schema: StandardSchema<Order>][] = [
  ['zod', z.object({ item: z.string().min(1), count: z.number().int().positive() })],
  [
    'valibot',
    v.object({
      item: v.pipe(v.string(), v.minLength(1)),
      count: v.pipe(v.number(), v.integer(), v.minValue(1)),
    }),
  ],
  // One whose answer is a promise.
  [
    'zod, asynchronous',
    z.object({ item: z.string().refine(async (item) => item !== ''), count: z.number().positive() }),
  ],
]

const wrong = [
  '{"item":"","count":1}',
  '{"item":"tea","count":"1"}',
  '{"item":"tea"}',
  '[]',
  'null',
  'tea',
  '',
]

for (const [name, schema] of schemas) {
  describe(`messages checked by ${name}`, () => {
    it('come typed, as the validator returns them', async () => {
      await using server = await serve({}, async (conn) => {
        for await (const { item, count } of conn.json(schema)) conn.send(item.repeat(count))
      })
      await using conn = await dial(server.url)
      conn.sendJson({ item: 'tea', count: 2, unknown: true })
      assert.equal(await conn.read(), 'teatea')
    })

    it('close the connection with 1007 and a reason when they are wrong', async () => {
      await using server = await serve({}, async (conn) => {
        await assert.rejects(async () => {
          for await (const _ of conn.json(schema)) assert.fail('it came through')
        })
      })
      for (const text of wrong) {
        const conn = await dial(server.url)
        conn.send(text)
        const { code, reason } = await conn.closed
        assert.equal(code, 1007, text)
        assert.ok(reason.length > 0)
      }
    })

    it('go to a handler instead, and the connection stays', async () => {
      const refused: string[] = []
      await using server = await serve({}, async (conn) => {
        const onInvalid = (error: ProtocolError, data: unknown): void => {
          assert.ok(error instanceof ProtocolError)
          refused.push(String(data))
        }
        for await (const { item } of conn.json(schema, { onInvalid })) conn.send(item)
      })
      await using conn = await dial(server.url)
      for (const text of wrong) conn.send(text)
      conn.sendJson({ item: 'coffee', count: 1 })
      assert.equal(await conn.read(), 'coffee')
      assert.deepEqual(refused, wrong)
    })
  })
}
