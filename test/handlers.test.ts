// Every function that the application gives, failing in every way: the error reaches its place, and nobody else is harmed.
// That nothing is thrown into the process is for the test runner to see: it fails a test for that.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import {
  type Conn,
  type DialOptions,
  dial,
  type Extension,
  type ExtensionFactory,
  type Handler,
  type ReconnectingOptions,
  type ReconnectOptions,
  type Rejection,
  reconnect,
  reconnecting,
  refuse,
  type ServeOptions,
  type StreamDecoder,
  serve,
} from 'silverback'
import { assertNoLeaks } from './leaks.ts'
import { until } from './support/until.ts'

after(() => assertNoLeaks())

const onPurpose = (): never => {
  throw new Error('on purpose')
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** What is thrown, and what looking at it does. */
const thrown: Readonly<Record<string, unknown>> = {
  'an Error': new Error('E'),
  undefined: undefined,
  'what a peer sent': JSON.parse('{"toString":0,"valueOf":0}'),
  'an object without prototype': Object.create(null),
  'a throwing toString': { toString: onPurpose },
  'an error with a throwing message': Object.defineProperty(new Error('x'), 'message', { get: onPurpose }),
  'an error with a throwing stack': Object.defineProperty(new Error('x'), 'stack', { get: onPurpose }),
  'an error with a throwing code': Object.defineProperty(new Error('x'), 'code', { get: onPurpose }),
  'a proxy that throws': new Proxy(new Error('x'), { get: onPurpose, getPrototypeOf: onPurpose }),
  'a revoked proxy': revoked(),
}

interface Way {
  readonly name: string
  readonly fail: () => never
  /** Tells whether this is the error, or has it as its cause. */
  readonly is: (error: unknown) => boolean
  /** It is not thrown at once, but a promise's, or that of something like one. */
  readonly late: boolean | 'thenable'
}

const ways: Way[] = []
for (const [name, error] of Object.entries(thrown)) {
  const is = (given: unknown): boolean => holds(given, error)
  ways.push({ name: `throws ${name}`, late: false, is, fail: () => thrower(error) })
  ways.push({ name: `rejects with ${name}`, late: true, is, fail: () => Promise.reject(error) as never })
}
const failing = new Error('a thenable')
const awaiting = new Error('awaited')
ways.push({
  name: 'returns a thenable that rejects',
  late: 'thenable',
  is: (given) => holds(given, failing),
  // biome-ignore lint/suspicious/noThenProperty: that is what it is about
  fail: () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(failing) }) as never,
})
ways.push({
  name: 'returns what throws when it is awaited',
  late: 'thenable',
  is: (given) => holds(given, awaiting),
  fail: () => Object.defineProperty({}, 'then', { get: () => thrower(awaiting) }) as never,
})

function thrower(error: unknown): never {
  throw error
}

function holds(given: unknown, error: unknown): boolean {
  for (let cause = given, depth = 0; depth < 4; depth++) {
    if (cause === error) return true
    if (!(cause instanceof Error)) return false
    cause = cause.cause
  }
  return false
}

type Bad = () => never
type Print = { readonly mock: { readonly calls: readonly { readonly arguments: unknown[] }[] } }

/** What was printed behind `silverback: WHAT failed:`. */
function printed(print: Print, what: string): unknown[] {
  return print.mock.calls
    .map(({ arguments: given }) => given)
    .filter(([text]) => text === `silverback: ${what} failed:`)
    .map(([, error]) => error)
}

const echo = async (conn: Conn): Promise<void> => {
  for await (const data of conn) conn.send(data)
}

const copy = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes)

/** An extension that does nothing, but for what is given. */
function extension(
  own: Partial<Extension> = {},
  negotiation: Partial<ExtensionFactory> = {},
): ExtensionFactory {
  const made: Extension = { name: 'x-e', rsv: 0x40, encode: copy, decode: copy, ...own }
  const negotiate = (): { params: Map<string, string>; extension: Extension } => ({
    params: new Map(),
    extension: made,
  })
  return { name: 'x-e', offers: () => [new Map()], accept: () => made, negotiate, ...negotiation }
}

interface ServerRow {
  readonly options?: (bad: Bad) => ServeOptions
  readonly handle?: (bad: Bad) => Handler
  /** Client's options. */
  readonly dial?: DialOptions
  /** Where the error goes; anything else is what is printed. */
  readonly to: 'onError' | 'onReject' | (string & {})
  /** How it ends: a status, or the code of the Close frame. */
  readonly end: number
  /** A promise for an answer is a mistake of its own. */
  readonly atOnce?: boolean
}

const failOn = (bad: Bad) => (request: { readonly url?: string | undefined }) =>
  request.url === '/bad' ? bad() : undefined

const schema = (validate: Bad) => ({ '~standard': { version: 1, vendor: 'test', validate } }) as const

const servers: Readonly<Record<string, ServerRow>> = {
  handler: { handle: (bad) => bad, to: 'onError', end: 1011 },
  onMessage: { handle: (bad) => (conn) => conn.onMessage(bad), to: 'onError', end: 1011 },
  'onControl: ping': {
    handle: (bad) => (conn) => {
      conn.onControl({ ping: bad })
      return echo(conn)
    },
    to: 'onError',
    end: 1011,
  },
  'onControl: close': {
    handle: (bad) => (conn) => {
      conn.onControl({ close: bad })
      return echo(conn)
    },
    to: 'onError',
    end: 1000,
    atOnce: true,
  },
  'the schema of json': {
    handle: (bad) => async (conn) => {
      for await (const value of conn.json(schema(bad))) conn.sendJson(value)
    },
    to: 'onError',
    end: 1011,
  },
  'onInvalid of json': {
    handle: (bad) => async (conn) => {
      for await (const value of conn.json(undefined, { onInvalid: bad })) conn.sendJson(value)
    },
    to: 'onError',
    end: 1011,
  },
  path: {
    options: (bad) => ({ path: (_path, request) => failOn(bad)(request) ?? true }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  checkOrigin: {
    options: (bad) => ({ checkOrigin: (_origin, request) => failOn(bad)(request) ?? true }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  subprotocols: {
    options: (bad) => ({ subprotocols: (_offered, request) => failOn(bad)(request) }),
    dial: { subprotocols: ['a'] },
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  addressOf: {
    options: (bad) => ({ addressOf: failOn(bad), maxConnectionsPerAddress: 100 }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  authorize: {
    options: (bad) => ({ authorize: (request) => failOn(bad)(request) ?? true }),
    to: 'onReject',
    end: 500,
  },
  limits: {
    options: (bad) => ({ limits: (request) => failOn(bad)(request) ?? {} }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  headers: {
    options: (bad) => ({ headers: (request) => failOn(bad)(request) ?? {} }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  'negotiate of an extension': {
    options: (bad) => ({ extensions: [extension({}, { negotiate: bad })] }),
    dial: { extensions: [extension()] },
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  'dispose of an extension, refused': {
    options: (bad) => ({ extensions: [extension({ dispose: bad })], authorize: ({ url }) => url !== '/bad' }),
    dial: { extensions: [extension()] },
    to: 'dispose of an extension',
    end: 403,
  },
  'dispose of an extension': {
    options: (bad) => ({ extensions: [extension({ dispose: bad })] }),
    dial: { extensions: [extension()] },
    to: 'dispose of an extension',
    end: 1000,
  },
  'encode of an extension': {
    options: (bad) => ({ extensions: [extension({ encode: bad })] }),
    dial: { extensions: [extension()] },
    to: 'onError',
    end: 1011,
    atOnce: true,
  },
  onReject: {
    options: (bad) => ({ authorize: ({ url }) => (url === '/bad' ? refuse(401) : true), onReject: bad }),
    to: 'onReject',
    end: 500,
    atOnce: true,
  },
  onError: { options: (bad) => ({ onError: bad }), handle: () => onPurpose, to: 'onError', end: 1011 },
  log: {
    options: (bad) => ({
      log: ({ conn, request }) => ((conn?.request ?? request)?.url === '/bad' ? bad() : undefined),
    }),
    to: 'log',
    end: 1000,
  },
}

describe('a server whose', () => {
  for (const [name, row] of Object.entries(servers)) {
    it(`${name} fails tells its place, serves the others, and goes on`, async (t) => {
      const print = t.mock.method(console, 'error', () => {})
      for (const way of ways) {
        const what = `${name} ${way.name}`
        print.mock.resetCalls()
        const onError: unknown[] = []
        const onReject: unknown[] = []
        const options: ServeOptions = {
          onError: (error) => void onError.push(error),
          onReject: ({ reason }: Rejection) => void onReject.push(reason.cause),
          ...row.options?.(way.fail),
        }
        const handle = row.handle?.(way.fail) ?? echo
        await using server = await serve(options, (conn) =>
          conn.request.url === '/bad' ? handle(conn as never) : echo(conn),
        )
        await using bystander = await dial(`${server.url}`)
        const end = await endOf(`${server.url}bad`, row.dial)
        assert.equal(end, row.end, what)
        const own = Object.hasOwn(row.options?.(way.fail) ?? {}, row.to)
        const told =
          own || row.to === name
            ? () => printed(print, row.to)
            : () =>
                row.to === 'onError' ? onError : row.to === 'onReject' ? onReject : printed(print, row.to)
        await until(() => told().length > 0, `an error: ${what}`)
        assert.ok((row.atOnce === true && way.late !== false) || told().every(way.is), what)
        for (const conn of [bystander, await dial(server.url)]) {
          conn.send('still here')
          assert.equal(await conn.read(), 'still here', what)
          await conn.close()
        }
      }
    })
  }
})

/** Talks, and tells how it ended: the code that the server closed with, or the status that it answered. */
async function endOf(url: string, options: DialOptions | undefined): Promise<number | undefined> {
  let conn: Conn
  try {
    conn = await dial(url, options)
  } catch (error) {
    return (error as { readonly status?: number }).status
  }
  conn.sendControl('ping', Buffer.from('p'))
  conn.send('{}')
  conn.send('not json')
  // The echoes; the server has closed where it fails.
  for (let i = 0; i < 2; i++) if ((await conn.read().catch(() => undefined)) === undefined) break
  return (await conn.close()).code
}

interface ClientRow {
  /** Plays, and returns the errors that came to the place. */
  readonly play: (bad: Bad, url: string, print: Print) => Promise<readonly unknown[]>
  readonly atOnce?: boolean
  /** A promise is the runtime's own affair: see docs/errors.md. */
  readonly onlyThrows?: boolean
}

const limits = { closeTimeout: 2_000 }

/** Talks on a connection made with these options, until it ends. */
async function talk(
  url: string,
  options: DialOptions,
  begin: (conn: Conn) => void = () => {},
): Promise<void> {
  const conn = await dial(url, { limits, ...options })
  begin(conn)
  conn.sendControl('ping', Buffer.from('p'))
  conn.send('x')
  await conn.closed
}

/** What `dial` rejects with. */
async function refusedBy(url: string, options: DialOptions): Promise<unknown[]> {
  try {
    await talk(url, options, (conn) => void conn.close())
  } catch (error) {
    return [error]
  }
  return []
}

/** Connects again and again, and returns what ends that. */
async function endOfSeries(url: string | Bad, options: ReconnectOptions): Promise<unknown[]> {
  try {
    for await (const conn of reconnect(url, { minDelay: 1, maxDelay: 2, maxAttempts: 2, ...options }))
      await conn.closed
  } catch (error) {
    return [error]
  }
  return []
}

async function endOfReconnecting(url: string | Bad, options: ReconnectingOptions): Promise<unknown[]> {
  const conn = reconnecting(url, { minDelay: 1, maxDelay: 2, maxAttempts: 2, ...options })
  conn.send('x')
  return [(await conn.closed).error]
}

/** Decodes nothing. */
const copying: StreamDecoder = {
  async *decode(piece) {
    yield copy(piece)
  },
  dispose() {},
}

/** Reads a message that comes encoded, piece by piece, and returns how the connection ended. */
async function endOfStreams(url: string, own: Partial<Extension>): Promise<unknown[]> {
  const conn = await dial(`${url}stream`, { limits, extensions: [extension(own)] })
  try {
    const stream = await conn.readStream()
    conn.send('go on')
    let text = ''
    for await (const piece of stream) text += piece
    assert.equal(text, 'hello')
  } catch {
    // What `closed` tells, too.
  }
  await conn.close()
  return [(await conn.closed).error]
}

/** Sends a message piece by piece, and returns how the connection ended. */
async function endOfWriting(url: string, own: Partial<Extension>): Promise<unknown[]> {
  const conn = await dial(url, { limits, extensions: [extension(own)] })
  try {
    const writer = conn.writeStream('text')
    await writer.write('hello')
    await writer.close()
  } catch {
    // As above.
  }
  return [(await conn.closed).error]
}

const now = (): number => performance.now()

const clients: Readonly<Record<string, ClientRow>> = {
  'dial: onMessage': {
    async play(bad, url) {
      const errors: unknown[] = []
      await talk(url, { onError: (error) => void errors.push(error) }, (conn) => conn.onMessage(bad))
      return errors
    },
  },
  'dial: onControl, pong': {
    async play(bad, url) {
      const errors: unknown[] = []
      await talk(url, { onError: (error) => void errors.push(error) }, (conn) =>
        conn.onControl({ pong: bad }),
      )
      return errors
    },
  },
  'dial: onError': {
    async play(bad, url, print) {
      await talk(url, { onError: bad }, (conn) => conn.onMessage(onPurpose))
      return printed(print, 'onError')
    },
  },
  'dial: log': {
    async play(bad, url, print) {
      await talk(url, { log: bad }, (conn) => void conn.close())
      return printed(print, 'log')
    },
  },
  'dial: connect': { play: (bad, url) => refusedBy(url, { connect: bad }) },
  'dial: proxy': { play: (bad, url) => refusedBy(url, { proxy: bad }), atOnce: true },
  'dial: getCookieString': {
    play: (bad, url) => refusedBy(url, { jar: { getCookieString: bad, setCookie() {} } }),
  },
  'offers of an extension': {
    play: (bad, url) => refusedBy(url, { extensions: [extension({}, { offers: bad })] }),
    atOnce: true,
  },
  'accept of an extension': {
    play: (bad, url) => refusedBy(`${url}extended`, { extensions: [extension({}, { accept: bad })] }),
    atOnce: true,
  },
  'decode of an extension': {
    async play(bad, url) {
      const conn = await dial(url, { extensions: [extension({ decode: bad })] })
      conn.send('x')
      return [(await conn.closed).error]
    },
    atOnce: true,
  },
  'decode of a decoder of an extension': {
    play: (bad, url) => endOfStreams(url, { decoder: () => ({ decode: bad, dispose() {} }) }),
    atOnce: true,
  },
  'what a decoder of an extension yields': {
    play: (bad, url) =>
      endOfStreams(url, {
        decoder: () => ({
          async *decode() {
            yield bad()
          },
          dispose() {},
        }),
      }),
  },
  'dispose of a decoder of an extension': {
    async play(bad, url, print) {
      const decoder = { ...copying, dispose: bad }
      assert.deepEqual(await endOfStreams(url, { decoder: () => decoder }), [undefined])
      await until(() => printed(print, 'dispose of an extension').length > 0, 'the error')
      return printed(print, 'dispose of an extension')
    },
  },
  'pieceEncoder of an extension': {
    play: (bad, url) => endOfWriting(url, { pieceEncoder: bad }),
    atOnce: true,
  },
  'what pieceEncoder of an extension gave': {
    play: (bad, url) => endOfWriting(url, { pieceEncoder: () => bad }),
    atOnce: true,
  },
  'setLevel of an extension': {
    async play(bad, url) {
      await using conn = await dial(url, { extensions: [extension({ setLevel: bad })] })
      try {
        conn.setCompressionLevel(1)
      } catch (error) {
        return [error]
      }
      return []
    },
    atOnce: true,
  },
  'dispose of an extension': {
    async play(bad, url, print) {
      await talk(url, { extensions: [extension({ dispose: bad })] }, (conn) => void conn.close())
      await until(() => printed(print, 'dispose of an extension').length > 0, 'the error')
      return printed(print, 'dispose of an extension')
    },
  },
  'idle of an extension': {
    async play(bad, url, print) {
      const options = { extensions: [extension({ idle: bad })], limits: { pingInterval: 1 } }
      const conn = await dial(url, options)
      await until(() => printed(print, 'idle of an extension').length > 0, 'the error')
      await conn.close()
      return printed(print, 'idle of an extension')
    },
  },
  'reconnect: url': { play: (bad) => endOfSeries(bad, {}) },
  'reconnect: dial': { play: (bad, url) => endOfSeries(url, { dial: bad }) },
  'reconnect: connect': { play: (bad, url) => endOfSeries(url, { connect: bad }) },
  'reconnect: retry': { play: (bad, url) => endOfSeries(`${url}kick`, { retry: bad }), atOnce: true },
  'reconnect: random': { play: (bad, url) => endOfSeries(`${url}kick`, { random: bad }), onlyThrows: true },
  'reconnect: now of the clock': {
    play: (bad, url) => endOfSeries(`${url}kick`, { clock: { now: bad, after: () => () => {} } }),
    onlyThrows: true,
  },
  'reconnect: after of the clock': {
    play: (bad, url) => endOfSeries(`${url}kick`, { clock: { now, after: bad } }),
    atOnce: true,
  },
  'reconnect: onOnline of the network': {
    play: (bad, url) => endOfSeries(url, { network: { online: false, onOnline: bad } }),
    atOnce: true,
  },
  'reconnect: onRetry': {
    async play(bad, url, print) {
      await endOfSeries(`${url}kick`, { onRetry: bad })
      return printed(print, 'onRetry')
    },
  },
  'reconnecting: onConnect': { play: (bad, url) => endOfReconnecting(url, { onConnect: bad }) },
  'reconnecting: onMessage': { play: (bad, url) => endOfReconnecting(url, { onMessage: bad }) },
  'reconnecting: retry': {
    play: (bad, url) => endOfReconnecting(`${url}kick`, { retry: bad }),
    atOnce: true,
  },
  'reconnecting: after of the clock': {
    play: (bad, url) => endOfReconnecting(`${url}kick`, { clock: { now, after: bad } }),
    atOnce: true,
  },
  'reconnecting: onState': {
    async play(bad, url, print) {
      await reconnecting(url, { onState: bad }).close()
      return printed(print, 'onState')
    },
  },
  'reconnecting: onDrop': {
    async play(bad, url, print) {
      const conn = reconnecting(url, { onDrop: bad, network: { online: false, onOnline: () => () => {} } })
      conn.send('never sent')
      await conn.close()
      return printed(print, 'onDrop')
    },
  },
  'dial: lookup': {
    // A name: an address is not looked up.
    play: (bad, url) => refusedBy(url.replace('127.0.0.1', 'localhost'), { lookup: bad }),
  },
  'reconnecting: url': { play: (bad) => endOfReconnecting(bad, {}) },
  'reconnecting: dial': { play: (bad, url) => endOfReconnecting(url, { dial: bad }) },
  'reconnecting: connect': { play: (bad, url) => endOfReconnecting(url, { connect: bad }) },
  'reconnecting: random': {
    play: (bad, url) => endOfReconnecting(`${url}kick`, { random: bad }),
    onlyThrows: true,
  },
  'reconnecting: now of the clock': {
    play: (bad, url) => endOfReconnecting(`${url}kick`, { clock: { now: bad, after: () => () => {} } }),
    onlyThrows: true,
  },
  'reconnecting: onOnline of the network': {
    play: (bad, url) => endOfReconnecting(url, { network: { online: false, onOnline: bad } }),
    atOnce: true,
  },
}

/** Echoes; hangs up on `/kick`, and sends one message piece by piece on `/stream`. */
function streaming(): ReturnType<typeof serve> {
  return serve({ extensions: [extension({ pieceEncoder: () => copy })] }, async (conn) => {
    if (conn.request.url === '/kick') return conn.terminate()
    if (conn.request.url !== '/stream') return echo(conn)
    const writer = conn.writeStream('text')
    await writer.write('hel')
    // Only what has not come as a whole is decoded in pieces.
    await conn.read()
    await writer.write('lo')
    await writer.close()
  })
}

describe('a client whose', () => {
  for (const [name, row] of Object.entries(clients)) {
    it(`${name} fails tells its place`, async (t) => {
      const print = t.mock.method(console, 'error', () => {})
      await using server = await streaming()
      for (const way of ways) {
        if (way.late !== false && row.onlyThrows === true) continue
        print.mock.resetCalls()
        const told = await row.play(way.fail, server.url, print)
        const what = `${name} ${way.name}`
        assert.ok(told.length > 0, what)
        assert.ok((row.atOnce === true && way.late !== false) || told.every(way.is), what)
      }
    })
  }
})

it('what fails to begin a message of pieces has it decoded whole', async () => {
  await using server = await streaming()
  for (const { name, fail } of ways) {
    const conn = await dial(`${server.url}stream`, { extensions: [extension({ decoder: fail })] })
    conn.send('go on')
    assert.equal(await conn.read(), 'hello', name)
    await conn.close()
  }
})

it('a client whose dial: setCookie fails has its connection all the same, and tells nobody', async (t) => {
  const print = t.mock.method(console, 'error', () => {})
  await using server = await serve({ headers: { 'Set-Cookie': 'a=1' } }, echo)
  for (const way of ways) {
    let asked = 0
    const setCookie = (): never => {
      asked++
      return way.fail()
    }
    const conn = await dial(server.url, { jar: { getCookieString: () => '', setCookie } })
    conn.send('here')
    assert.equal(await conn.read(), 'here', way.name)
    assert.equal(asked, 1, way.name)
    await conn.close()
  }
  assert.equal(print.mock.callCount(), 0)
})

it('a reader that nobody waits for harms nobody when its connection is lost', async () => {
  const readers: Readonly<Record<string, (conn: Conn) => unknown>> = {
    read: (conn) => conn.read(),
    readStream: (conn) => conn.readStream(),
    iterator: (conn) => conn[Symbol.asyncIterator]().next(),
    messages: (conn) => conn.messages()[Symbol.asyncIterator]().next(),
    json: (conn) => conn.json()[Symbol.asyncIterator]().next(),
    streams: (conn) => conn.streams()[Symbol.asyncIterator]().next(),
  }
  await using server = await serve({}, (conn) => void conn.onMessage(() => conn.terminate()))
  for (const [name, read] of Object.entries(readers)) {
    const conn = await dial(server.url)
    const reading = read(conn) as Promise<unknown>
    conn.send('go')
    assert.equal((await conn.closed).code, 1006, name)
    // A turn of the event loop behind: until then the runner would have heard of it.
    await new Promise(setImmediate)
    await assert.rejects(reading, { code: 'ERR_WS_CLOSED' }, name)
  }
})
