import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex } from '../../test/frames.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { CloseError, ProtocolError, UsageError } from '../session/errors.ts'
import type { StandardSchema } from '../session/schema.ts'

function schema<T>(validate: StandardSchema<T>['~standard']['validate']): StandardSchema<T> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

const positive = schema<number>((value) =>
  typeof value === 'number' && value > 0
    ? { value }
    : { issues: [{ message: 'expected a positive number', path: ['Num'] }] },
)

async function collect<T>(values: AsyncIterable<T>, into: T[] = []): Promise<T[]> {
  for await (const value of values) into.push(value)
  return into
}

/** The peer answers the Close frame with the same code and hangs up. */
async function answerClose(peer: TestLink, code = '03ef'): Promise<void> {
  await turn()
  await peer.receive({ opcode: 8, payload: hex(code) })
  peer.stream.endInput()
}

function failed(code: string, message: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof CloseError)
    assert.equal(error.info.code, 1007)
    assert.equal(error.by, 'local')
    const { cause } = error
    assert.ok(cause instanceof ProtocolError)
    assert.deepEqual([cause.code, cause.closeCode, cause.message], [code, 1007, message])
    return true
  }
}

describe('json', () => {
  it('yields the values of texts and of bytes', async () => {
    const peer = new TestLink()
    const values = collect(peer.conn.json())
    await peer.receiveTexts('{"a": [1, null]}', '"é"', ' 5 ')
    await peer.receive({ opcode: 2, payload: '{"b": "é"}' })
    await peer.receive({ opcode: 8, payload: hex('03e8') })
    peer.stream.endInput()
    assert.deepEqual(await values, [{ a: [1, null] }, 'é', 5, { b: 'é' }])
  })

  for (const [what, spec] of [
    ['text that is not JSON', { opcode: 1, payload: '{"Num":' }],
    ['an empty text', { opcode: 1, payload: '' }],
    ['a byte order mark', { opcode: 1, payload: '\ufeff1' }],
    ['bytes that are not UTF-8', { opcode: 2, payload: hex('22ff22') }],
  ] as const) {
    it(`closes with 1007 for ${what}, and throws why`, async () => {
      const peer = new TestLink()
      const got: unknown[] = []
      const values = collect(peer.conn.json(), got)
      values.catch(() => {})
      await peer.receiveTexts('1')
      await peer.receive(spec)
      await answerClose(peer)
      await assert.rejects(values, failed('ERR_WS_INVALID_JSON', 'message is not JSON'))
      assert.deepEqual(got, [1])
      assert.deepEqual(peer.sent(), ['close 1007 "message is not JSON"'])
      assert.equal((await peer.conn.closed).wasClean, true)
    })
  }

  it('keeps what the parser said', async () => {
    const peer = new TestLink()
    const values = collect(peer.conn.json())
    values.catch(() => {})
    await peer.receiveTexts('{')
    await answerClose(peer)
    await assert.rejects(values, (error) => {
      assert.ok(error instanceof CloseError && error.cause instanceof Error)
      return error.cause.cause instanceof SyntaxError
    })
  })

  it('yields what the schema makes of a value', async () => {
    const peer = new TestLink()
    const upper = schema<string>((value) => ({ value: String(value).toUpperCase() }))
    const values = collect(peer.conn.json(upper))
    await peer.receiveTexts('"a"', '"b"')
    await peer.receive({ opcode: 8, payload: hex('03e8') })
    peer.stream.endInput()
    assert.deepEqual(await values, ['A', 'B'])
  })

  it('closes with 1007 and the first issue for what the schema refuses', async () => {
    const peer = new TestLink()
    const got: number[] = []
    const values = collect(peer.conn.json(positive), got)
    values.catch(() => {})
    await peer.receiveTexts('1', '-1', '2')
    await answerClose(peer)
    await assert.rejects(values, failed('ERR_WS_INVALID_MESSAGE', 'Num: expected a positive number'))
    assert.deepEqual(got, [1])
    assert.deepEqual(peer.sent(), ['close 1007 "Num: expected a positive number"'])
  })

  it('cuts an issue that is too long for a Close frame', async () => {
    const peer = new TestLink()
    const long = schema<never>(() => ({ issues: [{ message: 'é'.repeat(100) }] }))
    const values = collect(peer.conn.json(long))
    values.catch(() => {})
    await peer.receiveTexts('1')
    await answerClose(peer)
    await assert.rejects(values, failed('ERR_WS_INVALID_MESSAGE', 'é'.repeat(100)))
    assert.deepEqual(peer.sent(), [`close 1007 "${'é'.repeat(61)}"`])
  })

  it('waits for a schema that takes its time, and keeps the order', async () => {
    const peer = new TestLink()
    const slow = schema<number>(async (value) => {
      await turn()
      return (value as number) > 0 ? { value: value as number } : { issues: [{ message: 'too small' }] }
    })
    const got: number[] = []
    const values = collect(peer.conn.json(slow), got)
    values.catch(() => {})
    await peer.receiveTexts('1', '2', '0', '3')
    while (peer.conn.state === 'open') await turn()
    await answerClose(peer)
    await assert.rejects(values, failed('ERR_WS_INVALID_MESSAGE', 'too small'))
    assert.deepEqual(got, [1, 2])
  })

  it('closes once for several bad messages', async () => {
    const peer = new TestLink()
    const loops = [collect(peer.conn.json()), collect(peer.conn.json())]
    for (const loop of loops) loop.catch(() => {})
    await peer.receiveTexts('{', '}', '[')
    await answerClose(peer)
    for (const loop of loops) await assert.rejects(loop, failed('ERR_WS_INVALID_JSON', 'message is not JSON'))
    assert.equal(peer.sent().length, 1)
  })

  it('leaves the connection alone when the schema itself throws, and tells who iterates', async () => {
    const peer = new TestLink()
    const broken = schema<never>(() => {
      throw new Error('schema bug')
    })
    const values = collect(peer.conn.json(broken))
    values.catch(() => {})
    await peer.receiveTexts('1', '2')
    await assert.rejects(values, /schema bug/)
    assert.equal(peer.conn.state, 'open')
    assert.equal(await peer.conn.read(), '2')
    peer.conn.terminate()
  })

  it('can be left, and gone on with', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('1', '2')
    for await (const value of peer.conn.json()) {
      assert.equal(value, 1)
      break
    }
    for await (const value of peer.conn.json()) {
      assert.equal(value, 2)
      break
    }
    assert.equal(peer.conn.state, 'open')
    peer.conn.terminate()
  })

  it('gives what cannot be used to who wants it, and goes on with the next message', async () => {
    const peer = new TestLink()
    const bad: [string, unknown][] = []
    const values = collect(
      peer.conn.json(positive, { onInvalid: (error, data) => void bad.push([error.code, data]) }),
    )
    await peer.receiveTexts('1', '{', '-1', '2')
    await peer.receive({ opcode: 2, payload: hex('ff') })
    await peer.receive({ opcode: 8, payload: hex('03e8') })
    peer.stream.endInput()
    assert.deepEqual(await values, [1, 2])
    assert.deepEqual(bad.slice(0, 2), [
      ['ERR_WS_INVALID_JSON', '{'],
      ['ERR_WS_INVALID_MESSAGE', '-1'],
    ])
    assert.deepEqual(Buffer.from(bad[2]?.[1] as Uint8Array), hex('ff'))
    assert.deepEqual(peer.sent(), ['close 1000 ""'])
  })

  it('waits for who gets what cannot be used, and fails as that does', async () => {
    const peer = new TestLink()
    const order: unknown[] = []
    const values = collect(
      peer.conn.json(undefined, {
        async onInvalid(error) {
          assert.ok(error instanceof ProtocolError && error.closeCode === 1007)
          await turn()
          if (order.push('invalid') === 3) throw new Error('enough')
        },
      }),
      order,
    )
    values.catch(() => {})
    await peer.receiveTexts('{', '1', '{', '2')
    await assert.rejects(values, /enough/)
    assert.deepEqual(order, ['invalid', 1, 'invalid'])
    assert.equal(await peer.conn.read(), '2')
    assert.equal(peer.conn.state, 'open')
    peer.conn.terminate()
  })

  it('ends with the reason of a signal while it waits, and loses no message', async () => {
    const peer = new TestLink()
    const controller = new AbortController()
    const reason = new Error('no patience')
    const got: unknown[] = []
    const values = collect(peer.conn.json(undefined, { signal: controller.signal }), got)
    values.catch(() => {})
    await peer.receiveTexts('1')
    controller.abort(reason)
    await assert.rejects(values, reason)
    assert.deepEqual(got, [1])
    await peer.receiveTexts('2')
    await assert.rejects(collect(peer.conn.json(undefined, { signal: controller.signal })), reason)
    assert.equal(await peer.conn.read(), '2')
    peer.conn.terminate()
  })

  it('ends with the reason of a signal while a schema that never answers is waited for', async () => {
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    const thenable = { then() {} } as unknown as Promise<never>
    const reason = new Error('no patience')
    for (const answer of [new Promise<never>(() => {}), thenable]) {
      const peer = new TestLink()
      const controller = new AbortController()
      const values = collect(
        peer.conn.json(
          schema<never>(() => answer),
          { signal: controller.signal },
        ),
      )
      values.catch(() => {})
      await peer.receiveTexts('1')
      controller.abort(reason)
      await assert.rejects(values, reason)
      peer.conn.terminate()
    }
  })

  it('takes no schema that is none, and nothing that is not called', () => {
    const peer = new TestLink()
    for (const [schema, options, code] of [
      [{}, undefined, 'ERR_WS_INVALID_ARGUMENT'],
      [null, undefined, 'ERR_WS_INVALID_ARGUMENT'],
      [{ onInvalid() {} }, undefined, 'ERR_WS_INVALID_ARGUMENT'],
      [undefined, { onInvalid: 5 }, 'ERR_WS_INVALID_OPTION'],
      [undefined, { signal: {} }, 'ERR_WS_INVALID_OPTION'],
    ] as const)
      assert.throws(() => peer.conn.json(schema as never, options as object), { code })
    peer.conn.terminate()
  })

  it('takes no option that does not exist', () => {
    const peer = new TestLink()
    assert.throws(
      () => peer.conn.json(undefined, { onValid() {} } as object),
      (error) => error instanceof UsageError && /^onValid is not an option/.test(error.message),
    )
    peer.conn.terminate()
  })

  it('does not pass a bad message over when the connection has ended in order meanwhile', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('1', '{', '3')
    await peer.receive({ opcode: 8, payload: hex('03e8') })
    peer.stream.endInput()
    await peer.conn.closed
    const got: unknown[] = []
    await assert.rejects(collect(peer.conn.json(), got), CloseError)
    assert.deepEqual(got, [1])
  })
})
