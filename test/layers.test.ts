// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the fakes are sources as plain texts
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { codeOnly } from './code-only.ts'
import {
  globalTimers,
  importCycles,
  importsOf,
  impurities,
  isTypesOnly,
  layerBreaches,
  missingTests,
  tooLong,
} from './layers.ts'
import { assertNoLeaks } from './leaks.ts'
import { filesBelow, root } from './repo.ts'

after(() => assertNoLeaks())

function read(paths: readonly string[]): Map<string, string> {
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

const sources = read(filesBelow('src', '.ts'))

describe('the source tree', () => {
  test('is found', () => {
    assert.ok(sources.has('src/wire/opcode.ts') && sources.size > 20, `only ${sources.size} files`)
  })

  test('keeps to the layers', () => assert.deepEqual(layerBreaches(sources), []))

  test('has no clock, randomness or I/O in wire, protocol and hub', () =>
    assert.deepEqual(impurities(sources), []))

  test('takes no timers and no clock that a test framework fakes', () =>
    assert.deepEqual(globalTimers(sources), []))

  test('has no import cycle', () => assert.deepEqual(importCycles(sources), []))

  test('has a test beside every source', () => assert.deepEqual(missingTests(sources), []))

  test('has no file that is too long', () => {
    const folders = ['src', 'test', 'interop', 'apps', 'examples', 'bench', 'scripts', 'tools']
    const paths = ['.ts', '.mjs'].flatMap((ends) => folders.flatMap((folder) => filesBelow(folder, ends)))
    assert.deepEqual(tooLong(read(paths)), [])
  })
})

describe('the checks themselves', () => {
  const fake = (files: Record<string, string>): Map<string, string> => new Map(Object.entries(files))

  test('layers: each kind of breach is named', () => {
    const breaches = layerBreaches(
      fake({
        'src/wire/a.ts': "import type { B } from '../protocol/b.ts'",
        'src/server/s.ts': "import { C } from '../client/c.ts'\nimport { D } from '../conn/d.ts'",
        'src/client/c.ts': "export * from '../server/s.ts'",
        'src/session/e.ts': "import '../protocol/b.ts'",
        'src/conn/d.ts': "const late = import('../index.ts')",
        'src/conn/p.ts': "import { x } from 'ws'\nimport { y } from 'fs'\nimport { z } from 'node:fs'",
        'src/conn/o.ts': "import {\n  helper,\n} from '../../test/helper.ts'",
        'src/gossip/g.ts': '',
        'src/index.ts': "export { C } from './client/c.ts'\nexport type { S } from './server/s.ts'",
        'src/wire/a.test.ts': "import { everything } from '../server/s.ts'",
      }),
    )
    assert.deepEqual(breaches, [
      'src/wire/a.ts imports src/protocol/b.ts: wire must not see protocol',
      'src/server/s.ts imports src/client/c.ts: server must not see client',
      'src/client/c.ts imports src/server/s.ts: client must not see server',
      'src/session/e.ts imports src/protocol/b.ts: session must not see protocol',
      'src/conn/d.ts imports the entry point src/index.ts',
      "src/conn/p.ts imports the package 'ws'",
      "src/conn/p.ts imports the package 'fs'",
      'src/conn/o.ts imports test/helper.ts, out of src',
      'src/gossip/g.ts: src/gossip is not in the table of layers',
    ])
  })

  test('layers: an optional package is loaded late, in its place', () => {
    const breaches = layerBreaches(
      fake({
        'src/client/socks-tunnel.ts': "type S = typeof import('socks')\nconst load = () => import('socks')",
        'src/client/dialer.ts': "const load = () => import('socks')",
      }),
    )
    assert.deepEqual(breaches, ["src/client/dialer.ts imports the package 'socks'"])
    const early = fake({ 'src/client/socks-tunnel.ts': "import type { SocksClient } from 'socks'" })
    assert.deepEqual(layerBreaches(early), ["src/client/socks-tunnel.ts imports the package 'socks'"])
  })

  test('timers: the imported ones are no globals', () => {
    const found = globalTimers(
      fake({
        'src/conn/a.ts':
          "import { clearTimeout, setTimeout } from 'node:timers'\nclearTimeout(setTimeout(f, 1))",
        'src/conn/b.ts':
          "import { setTimeout } from 'node:timers'\nclearTimeout(setTimeout(f, performance.now()))",
        'src/conn/c.ts': 'socket.setTimeout(0) // setTimeout\nsetImmediate(f)',
        'src/conn/c.test.ts': 'setTimeout(f, 1)',
      }),
    )
    assert.deepEqual(found, [
      'src/conn/b.ts names the global clearTimeout',
      'src/conn/b.ts names the global performance',
      'src/conn/c.ts names the global setImmediate',
    ])
  })

  test('purity: names and imports count in code only', () => {
    const found = impurities(
      fake({
        'src/wire/a.ts': [
          '// setTimeout in a comment, and process',
          "const text = 'Date.now()' + `process ${Math.random()} performance`",
          'const pattern = /["\\/]process/',
          'const timer = setTimeout(run, 1)',
          'socket.setTimeout(5)',
          'const processed = unprocess(text.process)',
        ].join('\n'),
        'src/protocol/b.ts': [
          "import type { Socket } from 'node:net'",
          "import { type Server, createServer } from 'node:http'",
          "import { Buffer } from 'node:buffer'",
          "import { createHash } from 'node:crypto'",
          'const at = Date.now(), day = new Date(), env = globalThis.process',
        ].join('\n'),
        'src/wire/accept-key.ts': "import { createHash, randomBytes } from 'node:crypto'",
        'src/conn/c.ts': "import net from 'node:net'\nsetInterval(tick, 1)",
        'src/wire/a.test.ts': 'setTimeout(done, 1)',
      }),
    )
    assert.deepEqual(found, [
      'src/wire/a.ts names Math.random',
      'src/wire/a.ts names setTimeout',
      'src/protocol/b.ts names Date.now',
      'src/protocol/b.ts names new Date',
      'src/protocol/b.ts names globalThis',
      'src/protocol/b.ts imports a value from node:http',
      'src/protocol/b.ts imports a value from node:crypto',
      'src/wire/accept-key.ts names randomBytes',
    ])
  })

  test('cycles: found through several files, and only once', () => {
    const cycles = importCycles(
      fake({
        'src/conn/a.ts': "import { b } from './b.ts'",
        'src/conn/b.ts': "import { c } from './c.ts'\nimport { d } from '../wire/d.ts'",
        'src/conn/c.ts': "import type { B } from './b.ts'",
        'src/wire/d.ts': '',
      }),
    )
    assert.deepEqual(cycles, ['src/conn/b.ts -> src/conn/c.ts -> src/conn/b.ts'])
  })

  test('tests: only types and entry points need none', () => {
    const missing = missingTests(
      fake({
        'src/conn/a.ts': 'export const a: number = 1',
        'src/conn/b.ts': 'export abstract class B {}',
        'src/conn/b.test.ts': '',
        'src/conn/c.ts':
          '/** class of its own */\nexport interface C {\n  const: string\n}\nexport type D = C',
        'src/conn/d.ts': "export { a } from './a.ts'",
        'src/index.ts': 'export const late: number = 1',
      }),
    )
    assert.deepEqual(missing, ['src/conn/a.test.ts', 'src/conn/d.test.ts'])
  })

  test('types only: a side effect is code too', () => {
    assert.equal(isTypesOnly("import type { A } from './a.ts'\nexport type B = A"), true)
    assert.equal(isTypesOnly("import './a.ts'\nexport type B = 1"), false)
    assert.equal(isTypesOnly('async function f(): Promise<void> {}'), false)
  })

  test('length: tests may be longer', () => {
    const lines = (count: number): string => 'x\n'.repeat(count)
    const long = {
      'src/a.ts': lines(600),
      'src/b.ts': lines(601),
      'src/c.test.ts': lines(800),
      'd.test.ts': lines(801),
    }
    assert.deepEqual(tooLong(fake(long)), [
      'src/b.ts has 601 lines, 600 are allowed',
      'd.test.ts has 801 lines, 800 are allowed',
    ])
  })

  test('imports: every form is seen, none in comments and strings', () => {
    const source = [
      "import a from './a.ts'",
      "import b, { type B } from './b.ts'",
      "import * as c from './c.ts'",
      "import type D from './d.ts'",
      "export * as e from './e.ts'",
      "export type { F } from './f.ts'",
      'import "./g.ts"',
      "const h = await import('./h.ts')",
      "// import i from './i.ts'",
      'const j = "import j from \'./j.ts\'"',
      "export const from = 'k'",
    ].join('\n')
    const seen = importsOf(source).map(({ specifier, isType }) => `${specifier}${isType ? ' type' : ''}`)
    const inOrder = ['./a.ts', './b.ts', './c.ts', './d.ts type', './e.ts', './f.ts type', './g.ts', './h.ts']
    assert.deepEqual(seen, inOrder)
  })

  test('code: what is not code is blank, all else stays where it was', () => {
    const cases: [source: string, code: string][] = [
      ["a('b\\'c', \"d'e\") // f", 'a(\'    \', "   ")     '],
      ['a /* b\n c */ d', 'a     \n      d'],
      ['`a ${b} c ${d({ e: `f` })}` + g', '`  ${b}   ${d({ e: ` ` })}` + g'],
      ['x = /[/\'"]\\/`/g.test(y) / 2 / z', 'x =            .test(y) / 2 / z'],
      ["return /'/", 'return    '],
    ]
    for (const [source, code] of cases) assert.equal(codeOnly(source).trimEnd(), code.trimEnd(), source)
    assert.throws(() => codeOnly('`a ${b} c'), /a template string is not closed/)
  })
})
