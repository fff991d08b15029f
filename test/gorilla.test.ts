// The page that goes through gorilla/websocket: complete, and with a proof in each row.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { proofs } from './proofs.ts'
import { root } from './repo.ts'

const page = readFileSync(join(root, 'docs/gorilla.md'), 'utf8')

/** The cells of every row of the page's tables, without their heads. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.endsWith('| proved by |'))
  .map((line) => line.slice(2, -2).split(' | '))

/** Where Debian's package golang-github-gorilla-websocket-dev puts the sources. */
const sources = '/usr/share/gocode/src/github.com/gorilla/websocket'

/** What a Go package exports: types, functions, methods and fields as `Type.Name`, constants and variables. */
function exportsOf(source: string): string[] {
  const code = source.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
  const names: string[] = []
  const all = (pattern: RegExp, text: string): RegExpMatchArray[] => [...text.matchAll(pattern)]
  for (const [, name = ''] of all(/^func ([A-Z]\w*)/gm, code)) names.push(name)
  for (const [, type = '', name = ''] of all(/^func \(\w+ \*?([A-Z]\w*)\) ([A-Z]\w*)/gm, code))
    names.push(`${type}.${name}`)
  for (const [, name = ''] of all(/^(?:var|const) ([A-Z]\w*)/gm, code)) names.push(name)
  for (const [, body = ''] of all(/^(?:var|const) \(\n([\s\S]*?)^\)/gm, code))
    for (const [, name = ''] of all(/^\t([A-Z]\w*)/gm, body)) names.push(name)
  for (const [, type = '', body = ''] of all(
    /^type ([A-Z]\w*) (?:struct|interface) \{\n([\s\S]*?)^\}/gm,
    code,
  )) {
    names.push(type)
    for (const [, list = ''] of all(/^\t([A-Z]\w*(?:, [A-Z]\w*)*)/gm, body))
      names.push(...list.split(', ').map((name) => `${type}.${name}`))
  }
  return [...new Set(names)].sort()
}

test('every row names what takes its place, and the test that proves it', () => {
  assert.ok(rows.length > 60, `only ${rows.length} rows`)
  for (const cells of rows) {
    const proof = cells.at(-1) ?? ''
    const row = cells.join(' | ')
    assert.ok(cells.length >= 3 && cells.every((cell) => cell.trim() !== ''), `a cell is missing: ${row}`)
    // That the tests exist is checked for all documents, in proofs.test.ts.
    const named = proofs('docs/gorilla.md', proof)
    if (proof === '—') assert.match(row, /\*being built\*/, `no proof: ${row}`)
    else assert.ok(named.length > 0 && named.every(({ title }) => title !== undefined), `no proof: ${row}`)
  }
})

const skip = existsSync(sources) ? false : 'golang-github-gorilla-websocket-dev is not installed'

test("every exported name of gorilla's is in a first column", { skip }, () => {
  const files = readdirSync(sources).filter((name) => name.endsWith('.go') && !name.endsWith('_test.go'))
  const exported = exportsOf(files.map((name) => readFileSync(join(sources, name), 'utf8')).join('\n'))
  assert.ok(exported.length > 80, `only ${exported.length} names`)
  const listed = new Set(
    rows.flatMap(([first = '']) => [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => name)),
  )
  assert.deepEqual(
    exported.filter((name) => !listed.has(name)),
    [],
  )
})

test('exports: of every kind, and no others', () => {
  const source = `package p
// A Comment { is no code
const One = 1
const (
	Two   = 2 // two
	three = 3
)
var ErrFour = errors.New("four")
type Five struct {
	// Six is a field.
	Six, Seven int
	Eight func(a int) error
	nine int
}
type Ten interface {
	Get() interface{}
}
type eleven struct {
	Twelve int
}
func Thirteen() {}
func (f *Five) Fourteen() {}
func (e eleven) Fifteen() {}
func sixteen() {}
`
  assert.deepEqual(exportsOf(source), [
    'ErrFour',
    'Five',
    'Five.Eight',
    'Five.Fourteen',
    'Five.Seven',
    'Five.Six',
    'One',
    'Ten',
    'Ten.Get',
    'Thirteen',
    'Two',
  ])
})
