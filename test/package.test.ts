// The package as its users get it: packed, installed elsewhere without a network, loaded and type-checked there.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

/** All that can be imported. A name that appears or disappears here is a decision, and a line of the changelog. */
const entries: Readonly<
  Record<string, { readonly values: readonly string[]; readonly types: readonly string[] }>
> = {
  silverback: {
    values: [
      'CloseCode',
      'CloseError',
      'Conn',
      'Dialer',
      'HandshakeError',
      'LimitError',
      'MessageStream',
      'MessageWriter',
      'Prepared',
      'ProtocolError',
      'TimeoutError',
      'Upgrader',
      'UsageError',
      'WebSocket',
      'WebSocketError',
      'WebSocketStream',
      'allowOrigins',
      'broadcast',
      'defaultLimits',
      'dial',
      'formatCloseMessage',
      'isCloseError',
      'isUnexpectedCloseError',
      'isWebSocketUpgrade',
      'joinMessages',
      'prepare',
      'reconnect',
      'reconnecting',
      'refuse',
      'reject',
      'sameOrigin',
      'serve',
      'subprotocols',
      'toDuplex',
      'toWebStreams',
    ],
    types: [
      'AnswerHeaders',
      'Attempt',
      'Authorization',
      'Authorize',
      'AuthorizeDetails',
      'BroadcastOptions',
      'BroadcastResult',
      'CloseFrame',
      'CloseInfo',
      'CompressionOptions',
      'ConnStats',
      'ConnectHook',
      'ConnectTarget',
      'ControlHandlers',
      'CookieJar',
      'Data',
      'DiagnosticsEvents',
      'DialOptions',
      'DialTlsOptions',
      'DrainOptions',
      'DropReason',
      'EncodingStats',
      'ErrorCode',
      'Extension',
      'ExtensionFactory',
      'ExtensionOptions',
      'ExtensionParams',
      'Handler',
      'HandshakeRequest',
      'HandshakeResponse',
      'JoinOptions',
      'JsonOptions',
      'Limits',
      'Log',
      'LogEntry',
      'Message',
      'MessageListener',
      'MessageType',
      'MessagesOptions',
      'NetworkStatus',
      'OriginCheck',
      'OutboxOptions',
      'OverflowPolicy',
      'PerAttempt',
      'ProxyChoice',
      'ProxyOptions',
      'ReconnectClock',
      'ReconnectDialOptions',
      'ReconnectOptions',
      'ReconnectingConn',
      'ReconnectingEnd',
      'ReconnectingOptions',
      'ReconnectingState',
      'Refusal',
      'RejectOptions',
      'Rejection',
      'SchemaIssue',
      'SchemaResult',
      'Sendable',
      'ServeOptions',
      'Server',
      'ServerConn',
      'ServerStats',
      'Session',
      'SlowPolicy',
      'StandardSchema',
      'StreamDecoder',
      'StreamOptions',
      'TextAs',
      'UpgradeListener',
      'UpgraderOptions',
      'WebStreams',
    ],
  },
  'silverback/protocol': {
    values: [
      'CloseCode',
      'FrameDecoder',
      'Opcode',
      'Output',
      'Prepared',
      'Protocol',
      'acceptKey',
      'buildRequestHeaders',
      'closingTable',
      'decideUpgrade',
      'defaultLimits',
      'deflateExtension',
      'formatExtension',
      'formatKey',
      'heapSlabs',
      'isControl',
      'isSendableCloseCode',
      'isValidKey',
      'nextClosingState',
      'parseExtensions',
      'prepare',
      'resolveCompression',
      'resolveLimits',
      'verifyResponse',
    ],
    types: [
      'ClientAcceptance',
      'ClientDecision',
      'ClientOffer',
      'ClientRefusal',
      'CloseFrame',
      'ClosedBy',
      'ClosingEvent',
      'ClosingState',
      'CompressionOptions',
      'EncodedMessage',
      'EncodingStats',
      'ErrorCode',
      'Extension',
      'ExtensionFactory',
      'ExtensionItem',
      'ExtensionParams',
      'Fault',
      'FaultCode',
      'FrameDecoderOptions',
      'FrameSink',
      'HandshakeHeaders',
      'HandshakeRequest',
      'HandshakeResponse',
      'Limits',
      'MessageType',
      'PieceEncoder',
      'ProtocolHandler',
      'ProtocolOptions',
      'ResolvedCompression',
      'ServerAcceptance',
      'ServerDecision',
      'ServerHandshakeOptions',
      'ServerRefusal',
      'SlabSource',
      'StreamDecoder',
      'StreamHandler',
    ],
  },
  'silverback/websocket': {
    values: ['CloseEvent', 'WebSocket', 'WebSocketError', 'WebSocketStream'],
    types: [
      'BinaryType',
      'CloseEventConstructor',
      'CloseEventInit',
      'WebSocketCloseInfo',
      'WebSocketConstructor',
      'WebSocketEventMap',
      'WebSocketOpenInfo',
      'WebSocketStreamOptions',
    ],
  },
  'silverback/testing': {
    values: ['FakeClock', 'pair'],
    types: ['Pair', 'PairClient', 'PairOptions', 'PairServer', 'PairSide'],
  },
}

/** Uses what was installed. */
const program = `
import { broadcast, type Conn, dial, prepare, type Server, serve } from 'silverback'
import { defaultLimits, Protocol } from 'silverback/protocol'
import { pair } from 'silverback/testing'
import { CloseEvent, WebSocket, WebSocketError, type WebSocketEventMap, WebSocketStream } from 'silverback/websocket'

export const server: Server = await serve({ port: 0 }, async (conn) => {
  for await (const message of conn) conn.send(message)
})
const conn: Conn = await dial(server.url)
conn.send(prepare('hello'))
console.log(await conn.read(), broadcast([conn], 'x').sent, typeof Protocol, defaultLimits.maxMessageSize)
await conn.close()
const socket = new WebSocket(server.url)
socket.onopen = () => socket.close(4000)
const { code }: WebSocketEventMap['close'] = await new Promise((resolve) => socket.addEventListener('close', resolve))
console.log(code, typeof CloseEvent, typeof WebSocketError, typeof WebSocketStream)
await server.close()
await using both = pair()
both.client.send('to the other')
console.log(await both.server.read())
`

describe('the packed package', { timeout: 120_000 }, () => {
  let folder = ''
  let project = ''
  let files: string[] = []

  /** Runs a command to its end; its output, if it succeeds. */
  async function run(command: string, args: readonly string[], cwd = project): Promise<string> {
    // Nothing of the command line that runs this test may change how the package is found.
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
    const { stdout } = await promisify(execFile)(command, args, { cwd, env })
    return stdout
  }
  const runNode = (...args: string[]): Promise<string> => run(process.execPath, args)
  const tsc = join(root, 'node_modules/typescript/bin/tsc')

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'silverback-package-'))
    project = join(folder, 'project')
    const copy = join(folder, 'copy')
    const cache = join(folder, 'cache')
    // Built and packed from a copy: the repository's own dist may be stale, or just being written by somebody else.
    await mkdir(copy)
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (entry.isFile() || entry.name === 'src')
        await cp(join(root, entry.name), join(copy, entry.name), { recursive: true })
    }
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
    await run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], copy)
    const npm = ['--cache', cache, '--offline', '--no-audit', '--no-fund', '--no-update-notifier']
    const packed = await run('npm', ['pack', '--json', '--pack-destination', folder, ...npm], copy)
    const [{ filename, files: list }] = JSON.parse(packed) as [
      { filename: string; files: { path: string }[] },
    ]
    files = list.map(({ path }) => path)

    await mkdir(project)
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
    await run('npm', ['install', ...npm, join('..', filename)])
  })

  after(() => rm(folder, { recursive: true, force: true }))

  test('it holds what is meant to be published', () => {
    const top = new Set(files.map((path) => path.split('/')[0] ?? ''))
    for (const wanted of ['LICENSE', 'README.md', 'dist', 'package.json', 'src'])
      assert.ok(top.delete(wanted), wanted)
    // These two are named in `files` as well.
    top.delete('CHANGELOG.md')
    top.delete('SECURITY.md')
    assert.deepEqual([...top], [])
    assert.deepEqual(
      files.filter((path) => path.includes('.test.')),
      [],
    )
    assert.ok(files.includes('dist/index.js') && files.includes('dist/index.d.ts'))
    // Source maps point at sources, so these are there too.
    assert.ok(files.includes('dist/protocol.js.map') && files.includes('src/protocol.ts'))
  })

  test('it needs no other package', async () => {
    const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'))
    assert.deepEqual(installed, ['silverback'])
    const manifest = JSON.parse(
      await readFile(join(project, 'node_modules/silverback/package.json'), 'utf8'),
    ) as Record<string, unknown>
    for (const kind of ['dependencies', 'optionalDependencies']) assert.equal(manifest[kind], undefined, kind)
    // What only some need is theirs to install.
    const { peerDependencies = {}, peerDependenciesMeta = {} } = manifest as {
      peerDependencies?: Record<string, string>
      peerDependenciesMeta?: Record<string, { optional?: boolean }>
    }
    for (const name of Object.keys(peerDependencies))
      assert.equal(peerDependenciesMeta[name]?.optional, true, name)
  })

  test('what an optional package is for says that it is missing', async () => {
    const code = `const { dial } = await import('silverback')
      const options = { proxy: 'socks5h://user:secret@127.0.0.1:1' }
      await dial('ws://a.example', options).catch(({ code, message }) => console.log(code, message))`
    assert.equal(
      await runNode('--input-type=module', '--eval', code),
      'ERR_WS_PROXY a SOCKS proxy needs the npm package socks, which cannot be loaded: npm install socks\n',
    )
  })

  for (const [entry, { values, types }] of Object.entries(entries)) {
    test(`import '${entry}'`, async () => {
      const code = `console.log(JSON.stringify(Object.keys(await import('${entry}'))))`
      assert.deepEqual(JSON.parse(await runNode('--input-type=module', '--eval', code)), values)
    })

    test(`require('${entry}')`, async () => {
      const code = `console.log(JSON.stringify(Object.keys(require('${entry}'))))`
      const loaded = JSON.parse(
        await runNode('--no-warnings', '--input-type=commonjs', '--eval', code),
      ) as string[]
      assert.deepEqual(
        loaded.filter((name) => name !== '__esModule'),
        values,
      )
    })

    test(`the declarations of '${entry}'`, async () => {
      const file = `${entry === 'silverback' ? 'index' : entry.slice('silverback/'.length)}.d.ts`
      const declared = await readFile(join(project, 'node_modules/silverback/dist', file), 'utf8')
      const exported = [...declared.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
        .flatMap(([, list = '']) => list.split(','))
        .map((name) => name.replace('type ', '').trim())
        .filter((name) => name !== '')
      assert.deepEqual(exported.sort(), [...values, ...types].sort())
    })
  }

  test('nothing else can be imported from it', async () => {
    const code = `await import('silverback/dist/conn/link.js').catch(({ code }) => console.log(code))`
    assert.equal(await runNode('--input-type=module', '--eval', code), 'ERR_PACKAGE_PATH_NOT_EXPORTED\n')
  })

  test('a program that uses it is type-checked, with every declaration, and runs', async () => {
    await mkdir(join(project, 'node_modules/@types'))
    await symlink(join(root, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
    await writeFile(join(project, 'program.ts'), program)
    const options = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess']
    const target = ['--target', 'es2023', '--lib', 'es2023,esnext.disposable', '--module', 'nodenext']
    // Without `skipLibCheck`: what was stripped as internal must not be missed by what remains.
    await run(process.execPath, [tsc, ...options, ...target, '--types', 'node', 'program.ts'])
    const written = ['hello 1 function 1048576', '4000 function function function', 'to the other', '']
    assert.deepEqual((await runNode('program.js')).split('\n'), written)
  })
})
