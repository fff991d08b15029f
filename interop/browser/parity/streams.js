// Of WebSocketStream, which Firefox does not have.

export const streamScenarios = {
  async 'the classes of streams'(stage) {
    await stage.describeClass(stage.api.WebSocketStream)
    await stage.describeClass(stage.api.WebSocketError)
  },

  async WebSocketError(stage) {
    const { WebSocketError } = stage.api
    const look = (error) => [
      ...[error.name, error.message, error.code, error.closeCode, error.reason, String(error)],
      ...[error instanceof DOMException, error instanceof Error, Object.prototype.toString.call(error)],
    ]
    const attempt = (name, ...args) => stage.attempt(name, () => look(new WebSocketError(...args)))
    attempt('alone')
    attempt('whole', 'm', { closeCode: 3000, reason: 'r' })
    attempt('a reason alone', 'm', { reason: 'r' })
    attempt('an empty reason', 'm', { reason: '' })
    attempt('a lone surrogate', 'a\ud800', { reason: 'a\ud800' })
    for (const closeCode of [
      ...[1000, 1001, 2999, 3000, 4999, 5000, 999, 0, -1, 65_536, '3001', null, undefined, NaN, Infinity],
      ...[{}, true, Symbol('x'), 3000n],
    ])
      attempt(`code ${String(closeCode)}`, 'm', { closeCode })
    attempt('a reason of 124 bytes', 'm', { reason: 'x'.repeat(124) })
    attempt('a wrong code and a long reason', 'm', { closeCode: 1, reason: 'x'.repeat(124) })
    attempt('init is null', 'm', null)
    attempt('init is a number', 'm', 5)
    attempt('message is undefined', undefined)
    attempt('message is null', null)
    attempt('message is a symbol', Symbol('x'))
    stage.attempt('without new', () => WebSocketError('x'))
    stage.attempt('of a lost connection', () => look(new WebSocketError('m', { closeCode: 1006 })))
  },

  async 'the options of a stream'(stage) {
    const { WebSocketStream } = stage.api
    const local = 'ws://127.0.0.1:1/'
    const brief = (...args) => {
      const stream = new WebSocketStream(...args)
      for (const promise of [stream.opened, stream.closed]) promise.catch(() => {})
      stream.close()
      return stream.url
    }
    const attempt = (name, ...args) => stage.attempt(name, () => brief(...args))
    attempt('no argument')
    for (const url of ['ws:', 'http://127.0.0.1:1', 'ftp://x/', 'ws://127.0.0.1:1/#', Symbol('x')])
      attempt(`url ${String(url)}`, url)
    for (const [name, options] of Object.entries({
      undefined,
      null: null,
      number: 5,
      text: 'x',
      function: () => {},
      unknown: { headers: 1 },
      'protocols as text': { protocols: 'abc' },
      'protocols as a list': { protocols: ['a', 'b'] },
      'the same twice': { protocols: ['a', 'a'] },
      'another case': { protocols: ['a', 'A'] },
      'a Set': { protocols: new Set(['a']) },
      'with a space': { protocols: ['a b'] },
      'protocols undefined': { protocols: undefined },
      'protocols null': { protocols: null },
      'protocols a number': { protocols: 5 },
      'signal null': { signal: null },
      'signal undefined': { signal: undefined },
      'signal an object': { signal: {} },
    }))
      attempt(`options ${name}`, local, options)
    const order = []
    const options = {}
    for (const name of ['signal', 'protocols'])
      Object.defineProperty(options, name, { get: () => void order.push(name) })
    attempt('order', { toString: () => order.push('url') && local }, options)
    stage.note('order of conversions', order)
  },

  async 'messages of a stream'(stage) {
    const { stream, info } = await stage.openStream(
      { lines: 'Sec-WebSocket-Protocol: b\n', wait: '' },
      { protocols: ['a', 'b'] },
    )
    stage.note('info', [
      Object.keys(info),
      info.extensions,
      info.protocol,
      String(info.readable),
      String(info.writable),
    ])
    stage.note('promises', [Object.is(stream.opened, stream.opened), Object.is(stream.closed, stream.closed)])
    const writer = info.writable.getWriter()
    const reader = info.readable.getReader()
    stage.note('desired size', writer.desiredSize)
    await writer.write('go')
    const bytes = new Uint8Array([1, 2, 3, 4])
    for (const [name, value] of Object.entries({
      text: 'hé',
      'a lone surrogate': 'a\ud800',
      'empty text': '',
      number: 5,
      undefined,
      null: null,
      object: {},
      Blob: new Blob(['x']),
      toString: { toString: () => 'as text' },
      Uint8Array: bytes.subarray(1, 3),
      ArrayBuffer: bytes.slice().buffer,
      DataView: new DataView(bytes.buffer, 3),
      'empty bytes': new Uint8Array(0),
      large: 'x'.repeat(500_000),
    })) {
      await stage.settled(`write ${name}`, writer.write(value))
      await stage.settled(`read ${name}`, reader.read())
    }
    const changed = new Uint8Array([9, 9])
    const written = writer.write(changed)
    changed.fill(1)
    await written
    await stage.settled('bytes that change', reader.read())
    stream.close({ closeCode: 3456, reason: 'pizza' })
    await stage.settled('closed', stream.closed)
    await stage.settled('read at the end', reader.read())
    await stage.settled('reader at the end', reader.closed)
    await stage.settled('writer at the end', writer.closed)
    await stage.settled('write at the end', writer.write('x'))
  },

  async 'what a stream cannot write'(stage) {
    for (const [name, value] of Object.entries({
      symbol: Symbol('x'),
      'a resizable buffer': new ArrayBuffer(2, { maxByteLength: 4 }),
      'what throws': {
        toString: () => {
          throw new RangeError('x')
        },
      },
    })) {
      const { stream, info } = await stage.openStream()
      const writer = info.writable.getWriter()
      await stage.settled(name, writer.write(value))
      await stage.settled(`${name}: writer`, writer.closed)
      stream.close()
      await stage.settled(`${name}: closed`, stream.closed)
    }
  },

  async 'a stream is closed'(stage) {
    const { WebSocketError } = stage.api
    for (const [name, ...args] of [
      ['without arguments'],
      ['undefined', undefined],
      ['null', null],
      ['an empty object', {}],
      ['a code', { closeCode: 1000 }],
      ['code and reason', { closeCode: 4999, reason: 'r' }],
      ['a reason', { reason: 'r' }],
      ['an empty reason', { reason: '' }],
      ['a code as text', { closeCode: '3001' }],
      ['a code that is undefined', { closeCode: undefined }],
      ['the names of before', { code: 3001, reason: 'r' }],
      ['an error', new WebSocketError('m', { closeCode: 3002, reason: 'e' })],
      ['a lone surrogate', { closeCode: 3003, reason: '\ud800' }],
      ['999', { closeCode: 999 }],
      ['1001', { closeCode: 1001 }],
      ['5000', { closeCode: 5000 }],
      ['null for a code', { closeCode: null }],
      ['NaN', { closeCode: NaN }],
      ['68536', { closeCode: 68_536 }],
      ['124 bytes', { reason: 'x'.repeat(124) }],
      ['true', true],
      ['a symbol for a code', { closeCode: Symbol('x') }],
    ]) {
      const { stream, info, id } = await stage.openStream()
      const read = info.readable.getReader().read()
      const writer = info.writable.getWriter()
      stage.attempt(name, () => stream.close(...args))
      // Where it threw, nothing has happened.
      stream.close({ closeCode: 4321 })
      await stage.settled(`${name}: closed`, stream.closed)
      await stage.settled(`${name}: read`, read)
      await stage.settled(`${name}: writer`, writer.closed)
      stage.note(`${name}: frames`, (await stage.heard(id)).frames)
    }
  },

  async 'the streams of a stream are closed'(stage) {
    const { WebSocketError } = stage.api
    for (const [name, ...args] of [
      ['without a reason'],
      ['an object', { closeCode: 3333, reason: 'x' }],
      ['an error with a code', new WebSocketError('m', { closeCode: 3333, reason: 'x' })],
      ['an error with a reason', new WebSocketError('m', { reason: 'x' })],
      ['an error without either', new WebSocketError('m')],
      ['another error', new DOMException('m', 'AbortError')],
      ['text', 'x'],
    ]) {
      const cancelled = await stage.openStream()
      const writer = cancelled.info.writable.getWriter()
      await stage.settled(`cancel: ${name}`, cancelled.info.readable.cancel(...args))
      await stage.settled(`cancel: ${name}: closed`, cancelled.stream.closed)
      await stage.settled(`cancel: ${name}: writer`, writer.closed)
      await stage.settled(`cancel: ${name}: read`, cancelled.info.readable.getReader().read())
      stage.note(`cancel: ${name}: frames`, (await stage.heard(cancelled.id)).frames)
      const aborted = await stage.openStream()
      const read = aborted.info.readable.getReader().read()
      await stage.settled(`abort: ${name}`, aborted.info.writable.abort(...args))
      await stage.settled(`abort: ${name}: closed`, aborted.stream.closed)
      await stage.settled(`abort: ${name}: read`, read)
      await stage.settled(`abort: ${name}: writer`, aborted.info.writable.getWriter().closed)
      stage.note(`abort: ${name}: frames`, (await stage.heard(aborted.id)).frames)
    }
    const { stream, info, id } = await stage.openStream()
    const writer = info.writable.getWriter()
    const written = writer.write('last')
    await stage.settled('close', writer.close())
    await stage.settled('close: written', written)
    await stage.settled('close: closed', stream.closed)
    await stage.settled('close: writer', writer.closed)
    stage.note('close: frames', (await stage.heard(id)).frames)
    const lost = await stage.openStream({ onclose: 'end' })
    await stage.settled('close, lost', lost.info.writable.getWriter().close())
    await stage.settled('close, lost: closed', lost.stream.closed)
    await stage.settled('close, lost: read', lost.info.readable.getReader().read())
    const closing = await stage.openStream()
    closing.stream.close()
    await stage.settled('write while closing', closing.info.writable.getWriter().write('x'))
    await stage.settled('write while closing: closed', closing.stream.closed)
  },

  async 'the server ends a stream'(stage) {
    for (const [name, plan] of [
      ['with code and reason', { frames: '88050fa1616263', closing: '' }],
      ['without a body', { frames: '8800', closing: '' }],
      ['behind a message', { frames: '81016188020fa1', closing: '' }],
      ['behind two messages', { frames: '81016182016288020fa1', closing: '' }],
      ['with a code that may not be sent', { frames: '880203ed', closing: '' }],
      ['by FIN', { after: 'end' }],
      ['by FIN behind a message', { frames: '810161', after: 'end' }],
      ['by RST', { after: 'reset' }],
      ['by breaking a rule', { frames: '8301aa' }],
    ]) {
      const { stream, info } = await stage.openStream({ wait: '', ...plan })
      const reader = info.readable.getReader()
      const writer = info.writable.getWriter()
      void writer.write('go').catch(() => {})
      for (let i = 1; i <= 3; i++) await stage.settled(`${name}: read ${i}`, reader.read())
      await stage.settled(`${name}: closed`, stream.closed)
      await stage.settled(`${name}: reader`, reader.closed)
      await stage.settled(`${name}: writer`, writer.closed)
      await stage.settled(`${name}: write`, writer.write('x'))
    }
  },

  async 'the handshake of a stream'(stage) {
    const { WebSocketStream } = stage.api
    const fails = async (name, ...args) => {
      const stream = new WebSocketStream(...args)
      await stage.settled(`${name}: opened`, stream.opened)
      await stage.settled(`${name}: closed`, stream.closed)
      stage.attempt(`${name}: close`, () => stream.close({ closeCode: 3000 }))
    }
    await fails('refused', 'ws://127.0.0.1:1/')
    await fails('port 22', 'ws://127.0.0.1:22/')
    await fails('404', stage.url({ head: 'HTTP/1.1 404 No\nContent-Length: 0\n\n', after: 'end' }))
    await fails('no subprotocol', stage.url(), { protocols: ['a'] })
    for (const [name, ...args] of [['close'], ['close with a code', { closeCode: 3000, reason: 'x' }]]) {
      const stream = new WebSocketStream(stage.url())
      stage.attempt(`${name}: a wrong code`, () => stream.close({ closeCode: 1 }))
      stream.close(...args)
      await stage.settled(`${name}: opened`, stream.opened)
      await stage.settled(`${name}: closed`, stream.closed)
    }
    const aborted = new AbortController()
    aborted.abort()
    await fails('aborted before', stage.url(), { signal: aborted.signal })
    aborted.abort('why')
    await fails('aborted before for a reason', stage.url(), { signal: aborted.signal })
    const controller = new AbortController()
    const { stream } = await stage.openStream({}, { signal: controller.signal })
    controller.abort()
    stream.close({ closeCode: 3001 })
    await stage.settled('aborted behind opening', stream.closed)
  },

  async 'the order in which a stream ends'(stage) {
    for (const [name, plan] of [
      ['clean', { frames: '88020fa1', closing: '' }],
      ['unclean', { after: 'end' }],
    ]) {
      const { stream, info } = await stage.openStream({ wait: '', ...plan })
      const order = []
      const tell = (what, promise) =>
        promise.then(
          () => order.push(what),
          () => order.push(`${what} rejected`),
        )
      const reader = info.readable.getReader()
      const writer = info.writable.getWriter()
      void writer.write('go').catch(() => {})
      const all = [
        tell('closed', stream.closed),
        tell('read', reader.read()),
        tell('reader', reader.closed),
        tell('writer', writer.closed),
      ]
      await Promise.all(all)
      stage.note(name, order)
    }
  },

  async 'messages that nobody reads'(stage) {
    const { stream, info } = await stage.openStream({ frames: '810161810162810163' })
    const writer = info.writable.getWriter()
    await writer.write('x')
    const reader = info.readable.getReader()
    await stage.settled('first', reader.read())
    await stage.settled('second', reader.read())
    stream.close({ closeCode: 3000 })
    await stage.settled('closed', stream.closed)
  },
}
