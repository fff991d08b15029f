import { CloseEvent, WebSocket } from '../../../src/websocket.ts'
import { endings } from './endings.ts'
import { see, type WebCase, type WebGroup } from './web-case.ts'

const constants = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const

const attributes = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol', 'binaryType'] as const
const writable = ['binaryType']
const handlers = ['onopen', 'onmessage', 'onerror', 'onclose'] as const

const shape: WebCase[] = [
  ...Object.entries(constants).flatMap(([name, value]) => [
    see(
      `interface.${name}`,
      `\`${name}\` is ${value} on the class and on its objects, seen and never changed.`,
      { value, enumerable: true, writable: false, configurable: false, inherited: value },
      () => ({
        ...Object.getOwnPropertyDescriptor(WebSocket, name),
        inherited: (WebSocket.prototype as unknown as Record<string, unknown>)[name],
      }),
    ),
  ]),
  ...[...attributes, ...handlers].map((name) =>
    see(
      `interface.${name}`,
      `\`${name}\` is an accessor of the prototype${writable.includes(name) || name.startsWith('on') ? '' : ' without a setter'}, and throws for other objects.`,
      {
        enumerable: true,
        configurable: true,
        setter: writable.includes(name) || name.startsWith('on'),
        elsewhere: 'TypeError',
      },
      (stage) => {
        const descriptor = Object.getOwnPropertyDescriptor(WebSocket.prototype, name)
        return {
          enumerable: descriptor?.enumerable,
          configurable: descriptor?.configurable,
          setter: descriptor?.set !== undefined,
          elsewhere: stage.thrown(() => descriptor?.get?.call({})),
        }
      },
    ),
  ),
  ...(
    [
      ['send', 1],
      ['close', 0],
    ] as const
  ).map(([name, length]) =>
    see(
      `interface.${name}`,
      `\`${name}\` is a method of the prototype with ${length} argument${length === 1 ? '' : 's'} at least.`,
      { enumerable: true, configurable: true, writable: true, length, name, elsewhere: 'TypeError' },
      (stage) => {
        const descriptor = Object.getOwnPropertyDescriptor(WebSocket.prototype, name)
        const method = descriptor?.value as (this: unknown, ...args: unknown[]) => unknown
        return {
          enumerable: descriptor?.enumerable,
          configurable: descriptor?.configurable,
          writable: descriptor?.writable,
          length: method.length,
          name: method.name,
          elsewhere: stage.thrown(() => method.call({}, 'x')),
        }
      },
    ),
  ),
  see(
    'interface.class',
    'The class is named, takes one argument at least, and is an EventTarget.',
    ['WebSocket', 1, true],
    () => [WebSocket.name, WebSocket.length, Object.getPrototypeOf(WebSocket) === EventTarget],
  ),
  see('interface.string', 'An object says what it is.', '[object WebSocket]', (stage) =>
    String(stage.socket('ws://127.0.0.1:9/').socket),
  ),
  see('interface.own-properties', 'An object has no properties of its own.', [], (stage) =>
    Reflect.ownKeys(stage.socket('ws://127.0.0.1:9/').socket).filter((key) => typeof key === 'string'),
  ),
  see('interface.derived', 'A class can be derived from it.', ['own', true, 1], async (stage) => {
    class Own extends WebSocket {
      readonly own = 'own'
    }
    const socket = new Own((await stage.echo()).url)
    await stage.event(socket, 'open')
    const seen = [socket.own, socket instanceof WebSocket, socket.readyState]
    const closed = stage.event(socket, 'close')
    socket.close()
    await closed
    return seen
  }),
]

const told: WebCase[] = [
  see(
    'events.open',
    '`open` is an Event that does not bubble and cannot be cancelled; its target is the socket.',
    { type: 'open', kind: 'Event', bubbles: false, cancelable: false, target: true },
    async (stage) => {
      const { socket } = stage.socket((await stage.echo()).url)
      const event = await stage.event(socket, 'open')
      const { type, bubbles, cancelable, target } = event
      return { type, kind: event.constructor.name, bubbles, cancelable, target: target === socket }
    },
  ),
  see(
    'events.message',
    '`message` is a MessageEvent with the data and the origin of the server.',
    { type: 'message', kind: 'MessageEvent', data: 'x', origin: true, lastEventId: '', ports: 0 },
    async (stage) => {
      const { url } = await stage.echo()
      const { socket } = await stage.open(url)
      const told = stage.event(socket, 'message')
      socket.send('x')
      const event = (await told) as MessageEvent
      const { type, data, origin, lastEventId, ports } = event
      return {
        type,
        kind: event.constructor.name,
        data,
        origin: origin === new URL(url).origin,
        lastEventId,
        ports: ports.length,
      }
    },
  ),
  see(
    'events.close',
    '`close` is a CloseEvent with code, reason and wasClean.',
    { type: 'close', kind: true, code: 4001, reason: '', wasClean: true, bubbles: false, cancelable: false },
    async (stage) => {
      const { socket } = await stage.openEcho()
      const told = stage.event(socket, 'close')
      socket.close(4001, 'why')
      const event = (await told) as CloseEvent
      const { type, code, reason, wasClean, bubbles, cancelable } = event
      return { type, kind: event instanceof CloseEvent, code, reason, wasClean, bubbles, cancelable }
    },
  ),
  see(
    'events.error',
    '`error` is a plain Event that does not say what failed.',
    { type: 'error', kind: 'Event', bubbles: false, cancelable: false, more: [] },
    async (stage) => {
      const { socket } = stage.socket('ws://127.0.0.1:25/')
      const event = await stage.event(socket, 'error')
      const { type, bubbles, cancelable } = event
      const more = ['message', 'error', 'code', 'reason'].filter((name) => name in event)
      return { type, kind: event.constructor.name, bubbles, cancelable, more }
    },
  ),
  see(
    'events.order',
    'open, messages in order, close.',
    ['open 1', 'message 1 a', 'message 1 b', 'close 3 1005 '],
    async (stage) => {
      const watched = await stage.openEcho()
      const heard = stage.messages(watched.socket, 2)
      watched.socket.send('a')
      watched.socket.send('b')
      await heard
      watched.socket.close()
      await watched.closed
      return watched.log
    },
  ),
  see(
    'events.promises-between',
    'Promises settle between two messages.',
    ['1', 'then 1', '2', 'then 2'],
    async (stage) => {
      const peer = await stage.scripted({
        frames: [
          { opcode: 1, payload: '1' },
          { opcode: 1, payload: '2' },
        ],
      })
      const { socket } = stage.socket(peer.url)
      const order: string[] = []
      await new Promise<void>((resolve) =>
        socket.addEventListener('message', ({ data }) => {
          order.push(data as string)
          void Promise.resolve().then(() => {
            order.push(`then ${data}`)
            if (data === '2') resolve()
          })
        }),
      )
      return order
    },
  ),
  see(
    'events.no-message-before-open',
    'A message that comes with the answer of the handshake is told behind `open`.',
    ['open 1', 'message 1 early'],
    async (stage) => {
      const peer = await stage.scripted({ frames: [{ opcode: 1, payload: 'early' }] })
      const watched = stage.socket(peer.url)
      await stage.event(watched.socket, 'message')
      return watched.log
    },
  ),
]

const handled: WebCase[] = [
  ...handlers.map((name) =>
    see(
      `handlers.${name}`,
      `\`${name}\` is null, then what it was set to, then null again.`,
      [null, true, null],
      (stage) => {
        const { socket } = stage.socket('ws://127.0.0.1:9/')
        const seen: unknown[] = [socket[name]]
        const handler = (): void => {}
        socket[name] = handler
        seen.push(socket[name] === handler)
        socket[name] = null
        return [...seen, socket[name]]
      },
    ),
  ),
  ...(
    [
      ['undefined', undefined],
      ['number', 5],
      ['string', 'alert()'],
      ['boolean', true],
      ['symbol', Symbol('x')],
    ] as const
  ).map(([name, value]) =>
    see(
      `handlers.${name}`,
      `A handler that is a ${name === 'undefined' ? 'mere undefined' : name} is none: null.`,
      null,
      (stage) => {
        const { socket } = stage.socket('ws://127.0.0.1:9/')
        socket.onopen = () => {}
        socket.onopen = value as unknown as null
        return socket.onopen
      },
    ),
  ),
  see('handlers.object', 'A handler that is an object is kept, and not called.', [true, 0], (stage) => {
    const { socket } = stage.socket('ws://127.0.0.1:9/')
    let called = 0
    const handler = { handleEvent: () => called++ }
    socket.onmessage = handler as unknown as null
    socket.dispatchEvent(new MessageEvent('message', { data: 'x' }))
    return [(socket.onmessage as unknown) === handler, called]
  }),
  see(
    'handlers.this',
    'A handler is called with the socket as `this` and the event.',
    [true, 'open', true],
    async (stage) => {
      const { socket, opened } = stage.socket((await stage.echo()).url)
      const seen: unknown[] = []
      socket.onopen = function (this: unknown, event: Event) {
        seen.push(this === socket, event.type, event.target === socket)
      }
      await opened
      return seen
    },
  ),
  see(
    'handlers.place',
    'A handler keeps the place among the listeners where it was first set.',
    ['first', 'new handler', 'last'],
    (stage) => {
      const { socket } = stage.socket('ws://127.0.0.1:9/')
      const order: string[] = []
      socket.addEventListener('message', () => order.push('first'))
      socket.onmessage = () => order.push('handler')
      socket.addEventListener('message', () => order.push('last'))
      socket.onmessage = () => order.push('new handler')
      socket.dispatchEvent(new MessageEvent('message'))
      return order
    },
  ),
  see(
    'handlers.removed-place',
    'Taken away and set again, it is the last.',
    ['listener', 'handler'],
    (stage) => {
      const { socket } = stage.socket('ws://127.0.0.1:9/')
      const order: string[] = []
      socket.onmessage = () => order.push('handler')
      socket.addEventListener('message', () => order.push('listener'))
      socket.onmessage = null
      socket.onmessage = () => order.push('handler')
      socket.dispatchEvent(new MessageEvent('message'))
      return order
    },
  ),
  see(
    'handlers.return-false',
    'A handler that returns false cancels what can be cancelled.',
    [true, false, false],
    (stage) => {
      const { socket } = stage.socket('ws://127.0.0.1:9/')
      const dispatch = (result: unknown): boolean => {
        socket.onmessage = () => result
        const event = new Event('message', { cancelable: true })
        socket.dispatchEvent(event)
        return event.defaultPrevented
      }
      return [dispatch(false), dispatch(0), dispatch(undefined)]
    },
  ),
  see('listeners.once', 'A listener that is to be called once is.', ['a'], async (stage) => {
    const { socket } = await stage.openEcho()
    const order: unknown[] = []
    socket.addEventListener('message', ({ data }) => order.push(data), { once: true })
    const heard = stage.messages(socket, 2)
    socket.send('a')
    socket.send('b')
    await heard
    return order
  }),
  see('listeners.removed', 'A listener that was taken away is not called.', [], async (stage) => {
    const { socket } = await stage.openEcho()
    const order: unknown[] = []
    const listener = ({ data }: MessageEvent): void => void order.push(data)
    socket.addEventListener('message', listener)
    socket.removeEventListener('message', listener)
    const heard = stage.messages(socket, 1)
    socket.send('a')
    await heard
    return order
  }),
  see('listeners.object', 'A listener may be an object with `handleEvent`.', ['message'], async (stage) => {
    const { socket } = await stage.openEcho()
    const order: string[] = []
    socket.addEventListener('message', { handleEvent: ({ type }: Event) => void order.push(type) })
    const heard = stage.messages(socket, 1)
    socket.send('a')
    await heard
    return order
  }),
  see('listeners.own-events', 'Events of your own can be dispatched.', ['ping'], (stage) => {
    const { socket } = stage.socket('ws://127.0.0.1:9/')
    const order: string[] = []
    socket.addEventListener('ping', ({ type }) => void order.push(type))
    socket.dispatchEvent(new Event('ping'))
    return order
  }),
]

const init = { code: 4000, reason: 'why', wasClean: true, bubbles: true, cancelable: true }

const closeEvents: WebCase[] = [
  see('close-event.alone', 'A CloseEvent of a type alone.', ['x', 0, '', false, false, false], () =>
    look(new CloseEvent('x')),
  ),
  see('close-event.whole', 'A CloseEvent with all it may have.', ['x', 4000, 'why', true, true, true], () =>
    look(new CloseEvent('x', init)),
  ),
  see('close-event.no-argument', 'Without a type it is a TypeError.', 'TypeError', (stage) =>
    stage.thrown(() => Reflect.construct(CloseEvent, [])),
  ),
  ...(
    [
      ['text', '7', 7],
      ['negative', -1, 65_535],
      ['fraction', 1.9, 1],
      ['too-large', 65_536 + 5, 5],
      ['nan', Number.NaN, 0],
      ['null', null, 0],
      ['true', true, 1],
    ] as const
  ).map(([name, code, value]) =>
    see(
      `close-event.code.${name}`,
      `The code \`${String(code)}\` is ${value}: an unsigned short.`,
      value,
      () => {
        return new CloseEvent('x', { code: code as number }).code
      },
    ),
  ),
  see('close-event.reason.surrogate', 'A lone surrogate in the reason becomes U+FFFD.', 'a\ufffd', () => {
    return new CloseEvent('x', { reason: 'a\ud800' }).reason
  }),
  see('close-event.wasClean.truthy', 'What is not false is true.', [true, false], () => [
    new CloseEvent('x', { wasClean: 1 as unknown as boolean }).wasClean,
    new CloseEvent('x', { wasClean: '' as unknown as boolean }).wasClean,
  ]),
  see(
    'close-event.init.wrong',
    'Members that are no dictionary are a TypeError.',
    ['TypeError', 'nothing', 'nothing'],
    (stage) => [
      stage.thrown(() => new CloseEvent('x', 5 as unknown as object)),
      stage.thrown(() => new CloseEvent('x', null as unknown as object)),
      stage.thrown(() => Reflect.construct(CloseEvent, ['x', undefined])),
    ],
  ),
  see(
    'close-event.historical',
    'There is no `initCloseEvent`.',
    false,
    () => 'initCloseEvent' in CloseEvent.prototype,
  ),
]

function look({ type, code, reason, wasClean, bubbles, cancelable }: CloseEvent): unknown[] {
  return [type, code, reason, wasClean, bubbles, cancelable]
}

export const events: WebGroup = {
  name: 'events',
  title: 'Interface and events',
  about:
    'The members of the class, its constants, events and their order, handlers, listeners, sockets that are left alone, and `CloseEvent`.',
  cases: [...shape, ...told, ...endings, ...handled, ...closeEvents],
}
