import { see, type WebCase, type WebGroup } from './web-case.ts'

const bytes = Uint8Array.from({ length: 24 }, (_, i) => i * 9)
/** As all of them can be called; lengths are counted in elements. */
type ViewOf = new (buffer: ArrayBuffer, offset?: number, length?: number) => ArrayBufferView

const view = (make: (buffer: ArrayBuffer) => ArrayBufferView): ArrayBufferView => make(bytes.slice().buffer)

/** What is sent; how it comes back as text, or as the hexadecimal digits of a buffer. */
const texts: readonly (readonly [name: string, about: string, given: unknown, text: string])[] = [
  ['ascii', 'Text', 'hello', 'hello'],
  ['empty', 'An empty text', '', ''],
  ['unicode', 'Characters of all lengths', '¥¥é€漢\u{1f98d}', '¥¥é€漢\u{1f98d}'],
  ['paired-surrogates', 'A pair of surrogates is one character', '\ud801\udc07', '\u{10407}'],
  ['unpaired-surrogates', 'Lone surrogates become U+FFFD', 'a\ud800b\udc07', 'a\ufffdb\ufffd'],
  ['nul', 'NUL is a character', 'a\0b', 'a\0b'],
  ['byte-order-mark', 'A byte order mark is kept', '\ufeffa', '\ufeffa'],
  ['65k', 'Text of 65000 characters', 'c'.repeat(65_000), 'c'.repeat(65_000)],
  ['null', 'null is the text of it', null, 'null'],
  ['undefined', 'undefined is the text of it', undefined, 'undefined'],
  ['number', 'A number is its text', 12.5, '12.5'],
  ['boolean', 'A boolean is its text', false, 'false'],
  ['bigint', 'A bigint is its text', 2n ** 70n, String(2n ** 70n)],
  ['list', 'A list is its text', [1, [2, 3]], '1,2,3'],
  ['object', 'An object is its text', {}, '[object Object]'],
  ['to-string', 'A toString of its own is called', { toString: () => 'own' }, 'own'],
]

const binaries: readonly (readonly [
  name: string,
  about: string,
  given: () => ArrayBufferView | ArrayBuffer | Blob,
  hex: string,
])[] = [
  ['array-buffer', 'An ArrayBuffer', () => bytes.slice().buffer, hexOf(bytes)],
  ['array-buffer-empty', 'An ArrayBuffer without bytes', () => new ArrayBuffer(0), ''],
  ['array-buffer-65k', 'An ArrayBuffer of 65000 bytes', () => new ArrayBuffer(65_000), '00'.repeat(65_000)],
  ...(
    [
      ['int8', Int8Array],
      ['uint8', Uint8Array],
      ['uint8-clamped', Uint8ClampedArray],
      ['int16', Int16Array],
      ['uint16', Uint16Array],
      ['int32', Int32Array],
      ['uint32', Uint32Array],
      ['float32', Float32Array],
      ['float64', Float64Array],
      ['bigint64', BigInt64Array],
      ['biguint64', BigUint64Array],
      ['data-view', DataView],
    ] as const
  ).flatMap(([name, Kind]) => [
    [
      `view.${name}`,
      `All of a buffer by a ${Kind.name}`,
      () => view((buffer) => new (Kind as ViewOf)(buffer)),
      hexOf(bytes),
    ] as const,
    [
      `view.${name}.offset`,
      `A ${Kind.name} from byte 8 on`,
      () => view((buffer) => new (Kind as ViewOf)(buffer, 8)),
      hexOf(bytes.subarray(8)),
    ] as const,
    [
      `view.${name}.offset-and-length`,
      `A ${Kind.name} of 8 bytes in the middle`,
      () =>
        view(
          (buffer) =>
            new (Kind as ViewOf)(buffer, 8, 'BYTES_PER_ELEMENT' in Kind ? 8 / Kind.BYTES_PER_ELEMENT : 8),
        ),
      hexOf(bytes.subarray(8, 16)),
    ] as const,
  ]),
  ['buffer', 'A Buffer of Node from its pool', () => Buffer.from(bytes), hexOf(bytes)],
  ['blob', 'A Blob', () => new Blob([bytes]), hexOf(bytes)],
  ['blob-empty', 'A Blob without bytes', () => new Blob([]), ''],
  [
    'blob-of-parts',
    'A Blob of several parts',
    () => new Blob(['a', bytes, new Blob(['z'])]),
    `61${hexOf(bytes)}7a`,
  ],
  ['blob-slice', 'A slice of a Blob', () => new Blob([bytes]).slice(2, 5), hexOf(bytes.subarray(2, 5))],
  ['blob-65k', 'A Blob of 65000 bytes', () => new Blob([new Uint8Array(65_000)]), '00'.repeat(65_000)],
]

function hexOf(data: Uint8Array): string {
  return Buffer.from(data).toString('hex')
}

const sentTexts = texts.map(([name, about, given, text]) =>
  see(
    `send.text.${name}`,
    `${about} arrives as text.`,
    { type: 'string', back: text, left: 0 },
    async (stage) => {
      const { socket } = await stage.openEcho()
      const heard = stage.messages(socket, 1)
      socket.send(given as string)
      const [back] = await heard
      return { type: typeof back, back, left: socket.bufferedAmount }
    },
  ),
)

const sentBinaries = binaries.map(([name, about, given, hex]) =>
  see(`send.${name}`, `${about} arrives as binary.`, { hex, left: 0 }, async (stage) => {
    const { socket } = await stage.openEcho()
    socket.binaryType = 'arraybuffer'
    const heard = stage.messages(socket, 1)
    socket.send(given())
    const [back] = await heard
    return { hex: hexOf(new Uint8Array(back as ArrayBuffer)), left: socket.bufferedAmount }
  }),
)

const shared = (): SharedArrayBuffer => new SharedArrayBuffer(8)

const rules: WebCase[] = [
  see('send.return', '`send` returns undefined.', 'undefined', async (stage) => {
    const { socket } = await stage.openEcho()
    return typeof (socket.send('x') as unknown)
  }),
  see('send.no-argument', 'Without an argument it is a TypeError.', 'TypeError', async (stage) => {
    const { socket } = await stage.openEcho()
    return stage.thrown(() => Reflect.apply(socket.send, socket, []))
  }),
  see('send.symbol', 'A symbol is a TypeError.', 'TypeError', async (stage) => {
    const { socket } = await stage.openEcho()
    return stage.thrown(() => socket.send(Symbol('x') as unknown as string))
  }),
  see('send.shared-view', 'A view of shared memory is a TypeError.', 'TypeError', async (stage) => {
    const { socket } = await stage.openEcho()
    return stage.thrown(() => socket.send(new Uint8Array(shared())))
  }),
  ...(['text', 'buffer', 'blob'] as const).map((kind) =>
    see(
      `send.too-early.${kind}`,
      `A ${kind} before the connection is open is an InvalidStateError, and nothing is buffered.`,
      ['InvalidStateError', 0],
      async (stage) => {
        const { socket } = stage.socket((await stage.echo()).url)
        const data = kind === 'text' ? 'x' : kind === 'blob' ? new Blob(['x']) : new ArrayBuffer(1)
        return [stage.thrown(() => socket.send(data)), socket.bufferedAmount]
      },
    ),
  ),
  see('send.copy', 'Bytes may be changed as soon as `send` has returned.', '010203', async (stage) => {
    const { socket } = await stage.openEcho()
    socket.binaryType = 'arraybuffer'
    const heard = stage.messages(socket, 1)
    const data = Uint8Array.of(1, 2, 3)
    socket.send(data)
    data.fill(9)
    return hexOf(new Uint8Array((await heard)[0] as ArrayBuffer))
  }),
  see(
    'send.transferred',
    'The buffer may be transferred as soon as `send` has returned.',
    '010203',
    async (stage) => {
      const { socket } = await stage.openEcho()
      socket.binaryType = 'arraybuffer'
      const heard = stage.messages(socket, 1)
      const { buffer } = Uint8Array.of(1, 2, 3)
      socket.send(buffer)
      structuredClone(buffer, { transfer: [buffer] })
      return hexOf(new Uint8Array((await heard)[0] as ArrayBuffer))
    },
  ),
  see('send.detached', 'A detached buffer is an empty message.', '', async (stage) => {
    const { socket } = await stage.openEcho()
    socket.binaryType = 'arraybuffer'
    const heard = stage.messages(socket, 1)
    const buffer = new ArrayBuffer(4)
    structuredClone(buffer, { transfer: [buffer] })
    socket.send(buffer)
    return hexOf(new Uint8Array((await heard)[0] as ArrayBuffer))
  }),
  see(
    'send.order',
    'Blobs, whose bytes have to be read first, keep their place among other messages.',
    ['1', 'blob', '2', 'blob', '3'],
    async (stage) => {
      const { socket } = await stage.openEcho()
      const heard = stage.messages(socket, 5)
      for (const data of ['1', new Blob(['a'.repeat(100_000)]), '2', new Blob(['b']), '3']) socket.send(data)
      return (await heard).map((data) => (typeof data === 'string' ? data : 'blob'))
    },
  ),
  see(
    'send.many',
    'Four hundred messages of 64 KiB all come back, in order.',
    { count: 400, inOrder: true, left: 0 },
    async (stage) => {
      const { socket } = await stage.openEcho()
      const heard = stage.messages(socket, 400)
      for (let i = 0; i < 400; i++) socket.send(String(i).padStart(65_536, '.'))
      const back = (await heard) as string[]
      const inOrder = back.every((data, i) => data.endsWith(`.${i}`) && data.length === 65_536)
      return { count: back.length, inOrder, left: socket.bufferedAmount }
    },
  ),
]

/** A message of so many bytes; the amount while it waits. */
const amounts: readonly (readonly [
  name: string,
  about: string,
  data: () => string | ArrayBuffer | Blob | Uint8Array,
  size: number,
])[] = [
  ['ascii', 'Text counts its bytes', () => 'hello', 5],
  ['unicode', 'Characters count as UTF-8', () => '¥€\u{1f98d}', 9],
  ['surrogate', 'A lone surrogate counts as U+FFFD', () => '\ud800', 3],
  ['empty', 'An empty message counts nothing', () => '', 0],
  ['array-buffer', 'A buffer counts its bytes', () => new ArrayBuffer(300), 300],
  ['view', 'A view counts what it shows', () => new Uint8Array(new ArrayBuffer(300), 100, 50), 50],
  ['blob', 'A Blob counts its size', () => new Blob(['x'.repeat(77)]), 77],
  ['large', 'A large message counts in full', () => 'x'.repeat(3_000_000), 3_000_000],
]

const buffered: WebCase[] = [
  ...amounts.map(([name, about, data, size]) =>
    see(
      `buffered.${name}`,
      `${about}, in the task that sends it and without a header, twice for two; none is left once it has left.`,
      [0, size, 2 * size, 0],
      async (stage) => {
        const { socket } = await stage.openEcho()
        const seen = [socket.bufferedAmount]
        const heard = stage.messages(socket, 2)
        socket.send(data())
        seen.push(socket.bufferedAmount)
        socket.send(data())
        seen.push(socket.bufferedAmount)
        await heard
        seen.push(socket.bufferedAmount)
        return seen
      },
    ),
  ),
  ...amounts.map(([name, , data, size]) =>
    see(
      `buffered.too-late.${name}`,
      `What is sent behind close() (${name}) is counted, is never sent, and stays counted behind the end.`,
      [size, 2 * size, 2 * size],
      async (stage) => {
        const { socket, closed } = await stage.openEcho()
        socket.close()
        socket.send(data())
        const seen = [socket.bufferedAmount]
        socket.send(data())
        seen.push(socket.bufferedAmount)
        await closed
        seen.push(socket.bufferedAmount)
        return seen
      },
    ),
  ),
  see(
    'buffered.after-the-end',
    'What is sent to a closed socket is counted, and throws nothing.',
    [4, 7],
    async (stage) => {
      const { socket, closed } = await stage.openEcho()
      socket.close()
      await closed
      socket.send('four')
      const seen = [socket.bufferedAmount]
      socket.send(new Uint8Array(3))
      seen.push(socket.bufferedAmount)
      return seen
    },
  ),
  see(
    'buffered.read-only',
    'It cannot be set: a TypeError in strict code.',
    ['TypeError', 0],
    async (stage) => {
      const { socket } = await stage.openEcho()
      return [stage.thrown(() => Reflect.apply(setAmount, socket, [])), socket.bufferedAmount]
    },
  ),
]

function setAmount(this: { bufferedAmount: number }): void {
  this.bufferedAmount = 5
}

export const send: WebGroup = {
  name: 'send',
  title: 'Sending',
  about: 'Every type that `send` takes, what it throws for, the order of messages, and `bufferedAmount`.',
  cases: [...sentTexts, ...sentBinaries, ...rules, ...buffered],
}
