import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { errorKinds } from '../src/session/errors.ts'
import { anchorsOf, type CodeBlock, codeBlocks, errorRows, exampleBlocks, internalLinks } from './docs.ts'
import { assertNoLeaks } from './leaks.ts'
import { filesBelow, root } from './repo.ts'

after(() => assertNoLeaks())

const text = (path: string): string => readFileSync(join(root, path), 'utf8')

const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  .filter((path) => existsSync(join(root, path)))
  .concat(['docs', 'apps', 'examples', 'bench', 'interop'].flatMap((folder) => filesBelow(folder, '.md')))

const blocks: readonly CodeBlock[] = [
  // The examples of the reference stand in TSDoc; its other blocks are signatures.
  ...pages.filter((path) => !path.startsWith('docs/api/')).flatMap((path) => codeBlocks(path, text(path))),
  ...filesBelow('src', '.ts').flatMap((path) => exampleBlocks(path, text(path))),
]

// What a block may use without saying where it comes from: a connection at hand, and what an http server's 'upgrade'
// event gives. A block that declares one of these names itself hides it.
const ambient = `import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ServerConn, Session } from 'silverback'
declare global {
  const conn: ServerConn
  const sessions: Set<Session>
  const httpServer: HttpServer
  const request: IncomingMessage
  const socket: Duplex
  const head: Buffer
}
`

/** A folder inside the repository, where the package can import itself by name; dots keep it out of other checks. */
function makeFolder(code: readonly string[]): string {
  const folder = mkdtempSync(join(root, '.docs-'))
  // Blocks may name the web frameworks that the interop tests use.
  const packages = join(root, 'interop/node_modules')
  if (existsSync(packages)) symlinkSync(packages, join(folder, 'node_modules'), 'junction')
  const compilerOptions = {
    noUnusedLocals: false,
    noUnusedParameters: false,
    typeRoots: ['../node_modules/@types'],
  }
  const config = { extends: '../tsconfig.json', compilerOptions, include: ['*.ts'], exclude: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'ambient.ts'), ambient)
  for (const [index, block] of code.entries())
    writeFileSync(join(folder, `${index}.ts`), `${block}export {}\n`)
  return folder
}

/** What tsc has against the blocks, each complaint at its place in the documentation; '' when nothing. */
function typeErrors(folder: string, checked: readonly CodeBlock[]): string {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const args = [tsc, '-p', folder, '--pretty', 'false']
  const { stdout, stderr, status, error } = spawnSync(process.execPath, args, { cwd: root, timeout: 100_000 })
  if (error !== undefined) throw error
  const output = `${stdout}${stderr}`.replace(
    /^\S*?(\d+)\.ts\((\d+),(\d+)\)/gm,
    (place, index, line, column) => {
      const where = place.includes(basename(folder)) ? checked[Number(index)]?.where : undefined
      if (where === undefined) return place
      const colon = where.lastIndexOf(':')
      return `${where.slice(0, colon)}:${Number(where.slice(colon + 1)) + Number(line) - 1}:${column}`
    },
  )
  return output === '' && status !== 0 ? `tsc ended with exit code ${status}` : output
}

/** Runs a block the way a reader would; '' when it ends by itself with exit code 0, else what went wrong. */
function runBlock(folder: string, index: number, timeout = 30_000): string {
  const args = ['--conditions=silverback:source', '--import=tsx', join(folder, `${index}.ts`)]
  const ended = spawnSync(process.execPath, args, {
    cwd: root,
    timeout,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  })
  if (ended.status === 0) return ''
  const how =
    ended.signal === null ? `ended with exit code ${ended.status}` : `did not end within ${timeout} ms`
  return `${how}\n${ended.stdout}${ended.stderr}`
}

/** Why a link from a page leads nowhere; '' when it resolves. */
function whyBroken(page: string, link: string): string {
  const [path = '', anchor = ''] = decodeURI(link).split('#')
  const target =
    path === '' ? page : path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(page), path)
  if (target.startsWith('../') || !existsSync(join(root, target))) return `${page}: ${link} does not exist`
  if (anchor === '' || !target.endsWith('.md') || statSync(join(root, target)).isDirectory()) return ''
  return anchorsOf(text(target)).has(anchor) ? '' : `${page}: ${link} has no such heading`
}

describe('the documentation', () => {
  let folder = ''
  before(() => {
    folder = makeFolder(blocks.map(({ code }) => code))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('has a README with programs that are run', () => {
    assert.ok(existsSync(join(root, 'README.md')), 'README.md is missing')
    const runnable = blocks.filter(({ where, run }) => where.startsWith('README.md:') && run)
    assert.ok(runnable.length > 0, 'no block of README.md is marked "ts run"')
  })

  test('has code that type-checks', () => assert.equal(typeErrors(folder, blocks), ''))

  for (const [index, { where, run }] of blocks.entries()) {
    if (run) test(`${where} runs and ends by itself`, () => assert.equal(runBlock(folder, index), ''))
  }

  test('has a row in docs/errors.md for each error code, and no other', () => {
    assert.ok(existsSync(join(root, 'docs/errors.md')), 'docs/errors.md is missing')
    const rows = errorRows(text('docs/errors.md'))
    const documented = rows.map(({ code, kind }) => `${code} ${kind}`).sort()
    assert.deepEqual(
      documented,
      Object.entries(errorKinds)
        .map(([code, kind]) => `${code} ${kind}`)
        .sort(),
    )
  })

  test('names no counter that stats does not have', () => {
    const counters = new Set(
      ['ConnStats', 'ServerStats', 'EncodingStats'].flatMap((name) =>
        // The reference is made of the types; see test/docs-api.test.ts.
        [...text(`docs/api/silverback/interfaces/${name}.md`).matchAll(/<\/a> `(\w+)\??`/g)].map(
          ([, counter = '']) => counter,
        ),
      ),
    )
    assert.ok(counters.has('sendsDropped') && counters.has('encodedSent'))
    const unknown = pages.flatMap((page) =>
      [
        ...text(page).matchAll(
          /\bstats\.(\w+)|`((?:messages|bytes|sends|receives)(?:Sent|Received|Dropped))`/g,
        ),
      ]
        .map(([, field, bare]) => field ?? bare ?? '')
        .filter((name) => !counters.has(name))
        .map((name) => `${page}: ${name}`),
    )
    assert.deepEqual(unknown, [])
  })

  test('has no broken links inside the repository', () => {
    const broken = pages.flatMap((page) => internalLinks(text(page)).map((link) => whyBroken(page, link)))
    assert.deepEqual(
      broken.filter((why) => why !== ''),
      [],
    )
  })
})

describe('the checks themselves', () => {
  test('blocks: only ts fences, with their line, in markdown and TSDoc', () => {
    const markdown =
      '# A\n```ts\na\n```\n```js\nb\n```\n````text\n```ts\nc\n```\n````\n  ```ts run\n  d\n\n  e\n  ```\n'
    assert.deepEqual(codeBlocks('A.md', markdown), [
      { where: 'A.md:3', run: false, code: 'a\n' },
      { where: 'A.md:14', run: true, code: '  d\n\n  e\n' },
    ])
    const source =
      'const x = 1\n/**\n * Text.\n *\n * @example\n * ```ts\n * if (a) {\n *   b()\n * }\n * ```\n */\n'
    assert.deepEqual(exampleBlocks('a.ts', source), [
      { where: 'a.ts:7', run: false, code: 'if (a) {\n  b()\n}\n' },
    ])
    assert.throws(() => codeBlocks('B.md', '```ts\nx'), /B\.md:2: the code block is not closed/)
  })

  test('types and runs: a wrong type, an exit code and a hang are found', () => {
    const fakes: CodeBlock[] = [
      { where: 'A.md:10', run: false, code: "const fine = 1\nconst wrong: number = 'text'\n" },
      {
        where: 'A.md:20',
        run: true,
        code: "import assert from 'node:assert'\nawait null\nassert.fail('on purpose')\n",
      },
      { where: 'A.md:30', run: true, code: 'setInterval(() => undefined, 1000)\n' },
      { where: 'A.md:40', run: true, code: 'const fine: number = await 1\nconsole.log(fine)\n' },
    ]
    const folder = makeFolder(fakes.map(({ code }) => code))
    try {
      const errors = typeErrors(folder, fakes).split('\n')
      assert.equal(errors.filter((line) => line.includes('error TS') && line.startsWith('A.md')).length, 1)
      assert.match(errors.find((line) => line.startsWith('A.md')) ?? '', /^A\.md:11:7: error TS2322/)
      assert.match(runBlock(folder, 1), /^ended with exit code 1\n[\s\S]*on purpose/)
      assert.match(runBlock(folder, 2, 3000), /^did not end within 3000 ms/)
      assert.equal(runBlock(folder, 3), '')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('error rows: the class stands in the row or in the heading', () => {
    const rows = errorRows(
      '| Code | Class |\n|---|---|\n| `ERR_WS_A` | `LimitError` | x |\n## `UsageError`: ours\n| `ERR_WS_B` | text |\n',
    )
    assert.deepEqual(rows, [
      { code: 'ERR_WS_A', kind: 'LimitError' },
      { code: 'ERR_WS_B', kind: 'UsageError' },
    ])
  })

  test('links: internal ones only, none in code, anchors as on GitHub', () => {
    const page =
      '[a](b.md "t") ![i](c.png) [w](https://x.y) `[n](no.md)`\n```\n[n](no.md)\n```\n[r]: d.md#e\n[t](#top)\n'
    assert.deepEqual(internalLinks(page), ['b.md', 'c.png', '#top', 'd.md#e'])
    const anchors = anchorsOf(
      '# The `send` method, 2nd\n## Same\n## Same\n```\n# no\n```\n## A [link](x.md) & more\n',
    )
    assert.deepEqual([...anchors], ['the-send-method-2nd', 'same', 'same-1', 'a-link--more'])
    assert.match(whyBroken('docs/x.md', 'nowhere.md'), /^docs\/x\.md: nowhere\.md does not exist/)
    assert.match(whyBroken('docs/x.md', '../../elsewhere'), /does not exist/)
    assert.equal(whyBroken('docs/x.md', '../package.json#any'), '')
  })
})
