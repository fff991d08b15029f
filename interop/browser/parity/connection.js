// How connections begin and end.

export const connectionScenarios = {
  async 'the page closes'(stage) {
    for (const [name, ...args] of [
      ['without arguments'],
      ['undefined', undefined],
      ['1000', 1000],
      ['1000 and a reason', 1000, 'fare well'],
      ['4999 and a lone surrogate', 4999, 'a\ud800b'],
      ['3000', 3000],
      ['an empty reason', 3001, ''],
      ['a reason that is null', 3001, null],
      ['a reason that is undefined', 3001, undefined],
      ['123 bytes', 3001, `${'é'.repeat(61)}x`],
      ['a code as text', '3002'],
      ['a code as an object', { valueOf: () => 3003 }],
      ['3000.5', 3000.5],
      ['2999.7', 2999.7],
      ['3001.5', 3001.5],
    ])
      await stage.conversation(name, {}, (socket) => socket.close(...args))
    const socket = await stage.open()
    for (const [name, ...args] of [
      ['null', null],
      ['0', 0],
      ['999', 999],
      ['1001', 1001],
      ['1005', 1005],
      ['2999', 2999],
      ['5000', 5000],
      ['NaN', NaN],
      ['text', 'x'],
      ['-1', -1],
      ['66536', 66_536],
      ['Infinity', Infinity],
      ['symbol', Symbol('x')],
      ['bigint', 1000n],
      ['124 bytes', 1000, 'é'.repeat(62)],
      ['long and wrong', 1001, 'é'.repeat(62)],
      ['a symbol for a reason', 1000, Symbol('x')],
    ])
      stage.attempt(`refused: ${name}`, () => socket.close(...args))
    socket.close(3000)
    stage.attempt('again', () => socket.close(3001))
    stage.attempt('again and wrong', () => socket.close(999))
    await stage.closed(socket)
    stage.attempt('after the end', () => socket.close(3002))
    stage.attempt('after the end and wrong', () => socket.close(2))
  },

  async 'a reason without a code'(stage) {
    await stage.conversation('frame', {}, (socket) => socket.close(undefined, 'why'))
  },

  async 'while connecting'(stage) {
    const { WebSocket } = stage.api
    const { socket, log } = stage.watch(new WebSocket(stage.url()))
    stage.note('state', socket.readyState)
    stage.attempt('send', () => socket.send('x'))
    stage.attempt('send without argument', () => socket.send())
    stage.attempt('send a symbol', () => socket.send(Symbol('x')))
    stage.attempt('a wrong code', () => socket.close(1001))
    stage.note('amount', socket.bufferedAmount)
    socket.close(3000, 'never mind')
    stage.note('state behind close()', [socket.readyState, log.length])
    socket.send('12345')
    stage.note('amount behind close()', socket.bufferedAmount)
    await stage.closed(socket)
    stage.note('events', log)
    stage.note('at the end', [socket.readyState, socket.bufferedAmount, socket.extensions, socket.protocol])
  },

  async 'the server closes'(stage) {
    for (const [name, frames] of [
      ['with code and reason', '88050fa1616263'],
      ['without a body', '8800'],
      ['with 1000', '880203e8'],
      ['with 1001', '880203e9'],
      ['with 1011 and a reason', '880703f36572726f72'],
      ['with 1014', '880203f6'],
      ['with 3000', '88020bb8'],
      ['behind messages', '8101618101628201638802' + '0fa1'],
      ['behind a ping', '8901aa880203e8'],
      ['behind a message in fragments', '010161890100800162' + '8800'],
      ['with 1005', '880203ed'],
      ['with 1006', '880203ee'],
      ['with 1015', '880203f7'],
      ['with 999', '880203e7'],
      ['with 2000', '880207d0'],
      ['with 5000', '88021388'],
      ['with half a code', '880103'],
      ['with a reason that is not UTF-8', '880403e8ff41'],
      ['and goes on', '880203e8810161'],
    ])
      await stage.conversation(name, { wait: '', frames, closing: '' }, (socket) => socket.send('go'))
    await stage.conversation('with another code than the page', { onclose: '88050fa1616263' }, (socket) =>
      socket.close(4000, 'mine'),
    )
    await stage.conversation('the connection, without an answer', { onclose: 'end' }, (socket) =>
      socket.close(4000),
    )
  },

  async 'the server breaks a rule'(stage) {
    for (const [name, frames] of [
      ['text that is not UTF-8', '810161' + '8101ff'],
      ['a reserved bit', '810161' + 'c10161'],
      ['another reserved bit', '810161' + '910161'],
      ['a reserved opcode', '810161' + '830161'],
      ['a reserved control opcode', '810161' + '8b00'],
      ['a continuation of nothing', '810161' + '800161'],
      ['a message in a message', '010161' + '810162'],
      ['a ping in fragments', '810161' + '090161'],
      ['a long ping', `810161${'897e007e'}${'00'.repeat(126)}`],
      ['a mask', '810161' + '81810000000061'],
    ])
      await stage.conversation(name, { wait: '', frames: `${frames}8800`, closing: '' }, (socket) =>
        socket.send('go'),
      )
  },

  async 'the connection is lost'(stage) {
    await stage.conversation('by FIN', { wait: '', after: 'end', frames: '810161' }, (socket) =>
      socket.send('go'),
    )
    await stage.conversation('by RST', { wait: '', after: 'reset' }, (socket) => socket.send('go'))
    await stage.conversation('in a message', { wait: '', after: 'end', frames: '810561' }, (socket) =>
      socket.send('go'),
    )
  },

  async 'the handshake'(stage) {
    const status = (line) => ({ head: `HTTP/1.1 ${line}\n\n`, after: 'end' })
    const good = 'Upgrade: websocket\nConnection: Upgrade\n'
    const accept = 'Sec-WebSocket-Accept: {accept}'
    const protocol = (name) => ({ lines: `Sec-WebSocket-Protocol: ${name}\n` })
    const extension = (value) => ({ lines: `Sec-WebSocket-Extensions: ${value}\n` })
    const close = (socket) => socket.close(3000)
    for (const [name, plan, protocols] of [
      ['404', status('404 No\nContent-Length: 0')],
      ['200', status('200 OK\nContent-Length: 0')],
      ['301', status('301 Away\nLocation: /ws\nContent-Length: 0')],
      ['401', status('401 Who\nWWW-Authenticate: Digest realm="x"\nContent-Length: 0')],
      ['no HTTP', { head: 'hello\n\n', after: 'end' }],
      ['nothing', { head: '', after: 'end' }],
      ['a reset', { head: '', after: 'reset' }],
      ['a wrong accept', status(`101 x\n${good}Sec-WebSocket-Accept: abc`)],
      ['no accept', status(`101 x\n${good}`)],
      ['no Upgrade', status(`101 x\nConnection: Upgrade\n${accept}`)],
      ['no Connection', status(`101 x\nUpgrade: websocket\n${accept}`)],
      ['another Upgrade', status(`101 x\nUpgrade: h2c\nConnection: Upgrade\n${accept}`)],
      [
        'any case',
        { head: `HTTP/1.1 101 x\nupgrade: WebSocket\nCONNECTION: keep-alive, upgrade\n${accept}\n\n` },
      ],
      ['a subprotocol nobody wants', protocol('a')],
      ['an empty subprotocol nobody wants', protocol('')],
      ['no subprotocol', {}, 'a'],
      ['an empty subprotocol', protocol(''), 'a'],
      ['another subprotocol', protocol('b'), ['a']],
      ['a subprotocol in another case', protocol('A'), ['a']],
      ['two subprotocols', protocol('a, b'), ['a', 'b']],
      ['a subprotocol', protocol('b'), ['a', 'b']],
      ['an unknown extension', extension('foo')],
      ['deflate', extension('permessage-deflate')],
      ['an empty extension', extension('')],
      ['deflate twice', extension('permessage-deflate, permessage-deflate')],
      ['deflate with an unknown parameter', extension('permessage-deflate; foo')],
      ['deflate with a window that is too large', extension('permessage-deflate; server_max_window_bits=16')],
    ])
      await stage.conversation(name, plan, close, protocols)
    await stage.conversation('a message right behind the head', { frames: '810161' }, (socket) =>
      socket.addEventListener('message', () => socket.close(3000)),
    )
    await stage.conversation(
      'a compressed message',
      {
        ...extension('permessage-deflate'),
        wait: '',
        frames: 'c107f248cdc9c907008800',
        closing: '',
      },
      (socket) => socket.send('go'),
    )
  },

  async 'nobody there'(stage) {
    const { WebSocket } = stage.api
    for (const url of [
      'ws://127.0.0.1:1/',
      'ws://127.0.0.1:22/',
      'wss://127.0.0.1:6000/',
      'ws://nowhere.invalid/',
    ]) {
      const { socket, log } = stage.watch(new WebSocket(url))
      await stage.closed(socket)
      stage.note(url, log)
    }
  },

  async 'credentials of the URL'(stage) {
    const { WebSocket } = stage.api
    const id = stage.id()
    const url = stage.url({ id, auth: '' }).replace('://', '://us%40er:p%C3%A4ss@')
    const { socket, log } = stage.watch(new WebSocket(url))
    socket.addEventListener('open', () => socket.close())
    await stage.closed(socket)
    stage.note('url', socket.url.includes('us%40er:p%C3%A4ss@'))
    stage.note('events', log)
    const { request } = await stage.heard(id)
    stage.note('authorization', /^authorization: (.*)$/im.exec(request)?.[1])
  },

  async 'the request'(stage) {
    const id = stage.id()
    const socket = new stage.api.WebSocket(stage.url({ id, lines: 'Sec-WebSocket-Protocol: b\n' }), [
      'a',
      'b',
    ])
    socket.addEventListener('open', () => socket.close())
    await stage.closed(socket)
    const { request } = await stage.heard(id)
    const header = (name) => new RegExp(`^${name}: (.*?)\r?$`, 'im').exec(request)?.[1]
    stage.note('line', request.slice(0, request.indexOf('?')))
    for (const name of ['upgrade', 'connection', 'sec-websocket-version', 'sec-websocket-protocol'])
      stage.note(name, header(name))
    stage.note('key', /^[+/0-9A-Za-z]{22}==$/.test(header('sec-websocket-key')))
    stage.note('extensions', header('sec-websocket-extensions'))
    stage.note('cookie', header('cookie'))
  },

  async events(stage) {
    const { WebSocket, CloseEvent } = stage.api
    const socket = new WebSocket(stage.url({ wait: '', frames: '810161820162' }))
    const look = ({ type, bubbles, cancelable, composed, isTrusted, target, currentTarget, eventPhase }) => [
      ...[type, bubbles, cancelable, composed, target === socket, currentTarget === socket, eventPhase],
      `trusted ${isTrusted}`,
    ]
    const all = []
    for (const type of ['open', 'message', 'error', 'close'])
      socket.addEventListener(type, (event) => {
        all.push([
          ...look(event),
          event.constructor === (type === 'message' ? MessageEvent : type === 'close' ? CloseEvent : Event),
        ])
        if (type === 'message')
          all.push([
            event.origin === socket.url.slice(0, socket.url.indexOf('/ws?')),
            event.lastEventId,
            event.source,
            event.ports.length,
            stage.show(event.data),
          ])
      })
    socket.addEventListener('open', () => socket.send('go'))
    socket.addEventListener('message', ({ data }) => typeof data !== 'string' && socket.close())
    await stage.closed(socket)
    stage.note('events', all)
  },

  async 'order of events and promises'(stage) {
    const { WebSocket } = stage.api
    const socket = new WebSocket(
      stage.url({ wait: '', frames: '8101618101628101638802' + '0fa1', closing: '' }),
    )
    const log = []
    const later = async (name) => {
      for (let i = 0; i < 20; i++) await null
      log.push(`${name} later ${socket.readyState}`)
    }
    for (const type of ['open', 'message', 'error', 'close'])
      socket.addEventListener(type, ({ data = '' }) => {
        log.push(`${type}${data} ${socket.readyState}`)
        void later(`${type}${data}`)
      })
    socket.addEventListener('open', () => socket.send('go'))
    log.push(`constructed ${socket.readyState}`)
    await later('constructed')
    await stage.closed(socket)
    await later('closed')
    stage.note('clean', log.splice(0))
    const failing = new WebSocket(stage.url({ head: 'no\n\n', after: 'end' }))
    const failed = []
    const wait = async (name) => {
      for (let i = 0; i < 20; i++) await null
      failed.push(name)
    }
    for (const type of ['open', 'error', 'close'])
      failing.addEventListener(type, () => {
        failed.push(type)
        void wait(`${type} later`)
      })
    await stage.closed(failing)
    await wait('end')
    stage.note('failed', failed)
  },

  async 'closing in a listener'(stage) {
    for (const [name, args] of [
      ['first', []],
      ['with a code', [4000, 'x']],
    ])
      await stage.conversation(
        `behind the first of three messages: ${name}`,
        { wait: '', frames: '810161810162810163', after: 'echo' },
        (socket) => {
          socket.addEventListener('message', () => socket.close(...args))
          socket.send('go')
        },
      )
    await stage.conversation(
      'with the Close frame there',
      { wait: '', frames: '81016181016288020fa1', closing: '' },
      (socket, log) => {
        socket.addEventListener('message', () => {
          socket.close(3000)
          log.push(socket.readyState)
        })
        socket.send('go')
      },
    )
    await stage.conversation('behind messages of the page', {}, (socket) => {
      for (let i = 0; i < 3; i++) socket.send(String(i))
      socket.send(new Blob(['blob']))
      socket.send('behind the blob')
      socket.close(3000, 'all')
      socket.send('too late')
    })
  },
}
