// What a script can see of the classes, and of messages.

export const interfaceScenarios = {
  async 'URLs and subprotocols'(stage) {
    const { WebSocket } = stage.api
    const local = 'ws://127.0.0.1:1/'
    for (const url of [
      'ws:',
      'ws://',
      'ws:///127.0.0.1:1/x',
      'ws:127.0.0.1:1/x',
      'ws:/127.0.0.1:1/x',
      'ws://127.0.0.1:1/a b',
      'http://127.0.0.1:1',
      'https://127.0.0.1:1/x?y',
      'HTTP://127.0.0.1:80/',
      'https://127.0.0.1:80/',
      'ftp://127.0.0.1/',
      'mailto:x',
      'about:blank',
      'javascript:x',
      'blob:ws://127.0.0.1/',
      'ws://127.0.0.1:1/#',
      'ws://127.0.0.1:1/#x',
      'ws://127.0.0.1:1/?#',
      'WS://127.0.0.1:1/',
      'ws://127.0.0.1:80/',
      'wss://127.0.0.1:443/',
      'ws://127.0.0.1:443/',
      'ws://[::1]:1',
      'ws://[::1',
      'ws://127.1:1',
      'ws://127.0.0.1:99999/',
      'ws://999.999.999.999/',
      'ws://u:p@127.0.0.1:1/',
      'ws://127.0.0.1:1/ö?ü',
      ' ws://127.0.0.1:1/ \n',
      'ws://127.0.0.1:1/\ud800',
      'ws://127.0.0.1:1/%',
      'ws://127.0.0.1:1\\x',
      'ws://%00/',
      'ws://127.0.0.1:0/',
      'ws://a b/',
      new URL(local),
      { toString: () => local },
      Symbol('url'),
    ])
      stage.attempt(`url ${String(url)}`, () => stage.brief(new WebSocket(url)).url)
    const protocols = {
      undefined,
      null: null,
      'an empty string': '',
      'a token': 'a',
      'with a space': 'a b',
      'with a comma': 'a,b',
      'with a tab': 'a\tb',
      'not ASCII': 'é',
      'all of a token': "!#$%&'*+-.^_`|~09azAZ",
      brackets: '(x)',
      slash: 'a/b',
      DEL: '\x7f',
      NUL: '\0',
      list: ['a', 'b'],
      'the same twice': ['a', 'a'],
      'another case': ['a', 'A'],
      'empty list': [],
      'empty in a list': [''],
      'undefined in a list': [undefined],
      'null in a list': [null],
      'a hole': new Array(1),
      number: 1,
      boolean: true,
      object: {},
      'an options bag': { protocols: ['a'], headers: {} },
      'with toString': { toString: () => 'ok' },
      Set: new Set(['a', 'b']),
      'a wrong Set': new Set(['a,']),
      'no iterator': { [Symbol.iterator]: undefined, toString: () => 'x' },
      'null for an iterator': { [Symbol.iterator]: null, toString: () => 'x' },
      'a number for an iterator': { [Symbol.iterator]: 1 },
      'an iterator of no object': { [Symbol.iterator]: () => 1 },
      function: function f() {},
      String: new String('ab'),
      symbol: Symbol('x'),
      'a symbol in a list': [Symbol('x')],
      'a list in a list': [['a']],
    }
    for (const [name, value] of Object.entries(protocols))
      stage.attempt(`protocols ${name}`, () => stage.brief(new WebSocket(local, value)).url)
    stage.attempt('no argument', () => new WebSocket())
    stage.attempt('without new', () => WebSocket(local))
    stage.attempt('a third argument', () => stage.brief(new WebSocket(local, [], { headers: 1 })).url)
    const order = []
    const url = { toString: () => `${order.push('url')}` }
    const list = {
      get [Symbol.iterator]() {
        order.push('iterator')
        return function* () {
          order.push('next')
          yield { toString: () => `${order.push('protocol')} ` }
          order.push('next')
        }
      },
    }
    stage.attempt('order of conversions', () => new WebSocket(url, list))
    stage.note('order', order)
  },

  async 'the classes'(stage) {
    await stage.describeClass(stage.api.WebSocket)
    await stage.describeClass(stage.api.CloseEvent)
  },

  async CloseEvent(stage) {
    const { CloseEvent } = stage.api
    const look = ({ type, code, reason, wasClean, bubbles, cancelable, composed }) => [
      ...[type, code, wasClean, bubbles, cancelable, composed],
      stage.escape(reason),
    ]
    const attempt = (name, ...args) => stage.attempt(name, () => look(new CloseEvent(...args)))
    attempt('alone', 'x')
    attempt('whole', 'x', { code: 4000, reason: 'why', wasClean: true, bubbles: true, cancelable: true })
    attempt('truthy', 'x', { wasClean: 1, bubbles: {}, cancelable: '', composed: 'x' })
    for (const code of [
      -1,
      1.9,
      -1.9,
      NaN,
      '7',
      null,
      undefined,
      Infinity,
      65_536,
      70_000,
      2 ** 40 + 5,
      true,
      [3],
    ])
      attempt(`code ${String(code)}`, 'x', { code })
    attempt('a symbol as code', 'x', { code: Symbol('x') })
    attempt('a bigint as code', 'x', { code: 1n })
    attempt('reason is null', 'x', { reason: null })
    attempt('a lone surrogate', 'x', { reason: 'a\ud800' })
    attempt('init is null', 'x', null)
    attempt('init is undefined', 'x', undefined)
    attempt('init is a number', 'x', 5)
    attempt('init is a string', 'x', 'x')
    attempt(
      'init is a function',
      'x',
      Object.assign(() => {}, { code: 3 }),
    )
    attempt('no argument')
    attempt('type undefined', undefined)
    attempt('type a symbol', Symbol('x'))
    stage.attempt('without new', () => CloseEvent('x'))
    const order = []
    const getters = {}
    for (const name of ['wasClean', 'reason', 'code', 'composed', 'cancelable', 'bubbles'])
      Object.defineProperty(getters, name, { get: () => void order.push(name) })
    new CloseEvent({ toString: () => `${order.push('type')}` }, getters)
    stage.note('order of conversions', order)
  },

  async attributes(stage) {
    const socket = await stage.open()
    stage.note('string', [String(socket), Object.keys(socket), socket instanceof EventTarget])
    stage.note('binaryType', socket.binaryType)
    for (const [name, value] of Object.entries({
      wrong: 'nodebuffer',
      case: 'ArrayBuffer',
      null: null,
      toString: { toString: () => 'arraybuffer' },
      blob: 'blob',
      symbol: Symbol('x'),
    }))
      stage.attempt(`binaryType ${name}`, () => {
        socket.binaryType = value
        return socket.binaryType
      })
    stage.attempt('url is read only', () => {
      socket.url = 'x'
    })
    stage.attempt('OPEN is constant', () => {
      socket.OPEN = 5
    })
    for (const [name, value] of Object.entries({ number: 5, undefined, string: 'f', symbol: Symbol('x') })) {
      socket.onmessage = value
      stage.note(`handler ${name}`, socket.onmessage)
    }
    const object = { handleEvent: () => stage.note('handleEvent', 'called') }
    socket.onmessage = object
    stage.note('a handler that is an object', socket.onmessage === object)
    socket.dispatchEvent(new Event('message'))
    const order = []
    const listener = (name) => () => void order.push(name)
    const dispatch = () => {
      socket.dispatchEvent(new Event('message'))
      return order.splice(0)
    }
    socket.addEventListener('message', listener('first'))
    socket.onmessage = listener('handler')
    socket.addEventListener('message', listener('last'))
    stage.note('a handler in the place of its object', dispatch())
    socket.onmessage = listener('other')
    stage.note('replaced', dispatch())
    socket.onmessage = null
    stage.note('removed', dispatch())
    socket.onmessage = listener('again')
    stage.note('set again', dispatch())
    socket.onmessage = function (event) {
      order.push(this === socket, event.currentTarget === socket, event.type)
      return false
    }
    const event = new Event('message', { cancelable: true })
    stage.note('dispatched', socket.dispatchEvent(event))
    stage.note('returned false', [event.defaultPrevented, ...order.splice(0)])
    socket.onmessage = () => 0
    stage.note('returned 0', socket.dispatchEvent(new Event('message', { cancelable: true })))
    socket.close()
    await stage.closed(socket)
  },

  async send(stage) {
    const socket = await stage.open({ wait: '' })
    socket.send('go')
    socket.binaryType = 'arraybuffer'
    const heard = []
    const done = new Promise((resolve) => {
      socket.addEventListener('message', ({ data }) => {
        heard.push(stage.show(data))
        if (data === 'end') resolve()
      })
    })
    const bytes = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer
    const detached = (buffer) => structuredClone(buffer, { transfer: [buffer] }) && buffer
    const viewOfDetached = new Uint8Array(2)
    detached(viewOfDetached.buffer)
    for (const [name, value] of Object.entries({
      text: 'héllo',
      'a lone surrogate': 'a\ud800b',
      'empty text': '',
      number: 5,
      undefined,
      null: null,
      boolean: false,
      bigint: 12345678901234567890n,
      object: {},
      list: [1, [2, 3]],
      toString: { toString: () => 'as text' },
      symbol: Symbol('x'),
      ArrayBuffer: bytes.buffer.slice(2, 5),
      'an empty ArrayBuffer': new ArrayBuffer(0),
      'a view in the middle': bytes.subarray(2, 4),
      DataView: new DataView(bytes.buffer, 1, 2),
      Uint16Array: new Uint16Array([258]),
      Float64Array: new Float64Array([1.5]),
      Blob: new Blob(['bl', 'ob']),
      'an empty Blob': new Blob([]),
      'text behind a Blob': 'behind',
      'a detached buffer': detached(new ArrayBuffer(2)),
      'a view of a detached buffer': viewOfDetached,
      'a resizable buffer': new ArrayBuffer(2, { maxByteLength: 4 }),
      'a view of a resizable buffer': new Uint8Array(new ArrayBuffer(2, { maxByteLength: 4 })),
      'shared memory': shared,
      'a view of shared memory': new Uint8Array(shared, 0, 2),
    }))
      stage.attempt(name, () => {
        const before = socket.bufferedAmount
        socket.send(value)
        return socket.bufferedAmount - before
      })
    stage.attempt('no argument', () => socket.send())
    const changed = new Uint8Array([9, 9])
    socket.send(changed)
    changed.fill(1)
    const large = new Uint8Array(300_000).fill(7)
    socket.send(large)
    large.fill(8)
    const behindBlob = new Uint8Array([5, 5])
    socket.send(new Blob(['x']))
    socket.send(behindBlob)
    behindBlob.fill(6)
    const moved = new Uint8Array([4, 4, 4])
    socket.send(moved.buffer)
    detached(moved.buffer)
    socket.send('end')
    await done
    stage.note('echoed', heard)
    socket.close()
    await stage.closed(socket)
  },

  async 'binaryType changes'(stage) {
    const socket = await stage.open({ wait: '', frames: '820161820162820163820164' })
    const types = ['arraybuffer', 'blob', 'arraybuffer', 'blob']
    const heard = []
    const done = new Promise((resolve) => {
      socket.onmessage = async ({ data }) => {
        heard.push(stage.show(data))
        if (heard.length === 4) return resolve()
        socket.binaryType = types[heard.length]
        await null
      }
    })
    socket.binaryType = types[0]
    socket.send('go')
    await done
    stage.note('heard', heard)
    socket.close()
    await stage.closed(socket)
    const other = await stage.open({ wait: '', frames: '820161820162' })
    const kinds = []
    const both = new Promise((resolve) => {
      other.onmessage = ({ data }) => {
        kinds.push(stage.show(data))
        if (kinds.length === 2) resolve()
        // In a promise's reaction: the next message is a task of its own.
        Promise.resolve().then(() =>
          Promise.resolve().then(() =>
            Promise.resolve().then(() => {
              other.binaryType = 'arraybuffer'
            }),
          ),
        )
      }
    })
    other.send('go')
    await both
    stage.note('set in a promise', kinds)
    other.close()
    await stage.closed(other)
  },

  async bufferedAmount(stage) {
    const socket = await stage.open()
    const amounts = []
    const look = () => amounts.push(socket.bufferedAmount)
    look()
    socket.send('é')
    look()
    socket.send(new Uint8Array(100))
    look()
    await null
    look()
    socket.send(new Blob(['12345']))
    look()
    socket.send('\ud800')
    look()
    stage.note('in one task', amounts.splice(0))
    await stage.until(() => socket.bufferedAmount === 0)
    socket.close()
    socket.send('123')
    look()
    socket.send(new Blob(['45']))
    look()
    socket.send(new Uint16Array(1))
    look()
    await stage.closed(socket)
    look()
    socket.send('x')
    look()
    stage.note('while and after closing', amounts)
  },

  async 'data beyond one frame'(stage) {
    const socket = await stage.open({ wait: '' })
    socket.binaryType = 'arraybuffer'
    socket.send('go')
    for (const size of [125, 126, 65_535, 65_536, 1_500_000]) {
      const bytes = Uint8Array.from({ length: size }, (_, i) => Math.imul(i, i) >> 5)
      const text = 'é🦍'.repeat(size / 6)
      const echo = new Promise((resolve) => {
        const heard = []
        socket.onmessage = ({ data }) => heard.push(data) === 2 && resolve(heard)
      })
      socket.send(bytes)
      socket.send(text)
      const [first, second] = await echo
      stage.note(`${size}`, [
        new Uint8Array(first).every((byte, i) => byte === bytes[i]),
        first.byteLength,
        second === text,
      ])
    }
    socket.close(1000)
    await stage.closed(socket)
  },
}
