// The tables of docs/reconnect.md against the code: every code and status that there can be.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { judgeClose, judgeFailure } from '../src/client/retry-verdict.ts'
import type { CloseInfo } from '../src/session/close-info.ts'
import { type CodeOf, errorKinds, HandshakeError, TimeoutError } from '../src/session/errors.ts'
import { isSendableCloseCode } from '../src/wire/close-code.ts'
import { root } from './repo.ts'

/** The words of the guide for the verdicts. */
const words: Readonly<Record<string, string>> = {
  ends: 'end',
  stops: 'stop',
  retries: 'retry',
  'retries soon': 'soon',
  'retries later': 'later',
  'retries a few times': 'few',
}

interface Row {
  readonly what: string
  readonly verdict: string
}

/** The rows of the table under a head whose first cell is this, in a text. */
function rows(markdown: string, head: string, nth = 0): Row[] {
  const tables = markdown.split(/\n\n+/).filter((block) => block.startsWith(`| ${head} |`))
  return (tables[nth] ?? '')
    .split('\n')
    .slice(2)
    .map((line) => {
      const [, what = '', verdict = ''] = line.split('|').map((cell) => cell.trim())
      return { what: what.replaceAll('`', ''), verdict }
    })
}

/** What a table with codes and ranges says of a code: its first row that has it. */
function lookUp(table: readonly Row[], code: number): string | undefined {
  const row = table.find(({ what }) => {
    const [from = Number.NaN, to = from] = what.split('-').map(Number)
    return code >= from && code <= to
  })
  return row === undefined ? undefined : words[row.verdict]
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

const guide = readFileSync(join(root, 'docs/reconnect.md'), 'utf8')

describe('the tables of docs/reconnect.md', () => {
  test('say what becomes of every code that a connection can end with', () => {
    const table = rows(guide, 'code')
    const codes = [1005, 1006, ...range(1000, 4999).filter(isSendableCloseCode)]
    for (const code of codes) {
      const info = { code, by: 'remote', error: undefined } as CloseInfo
      assert.equal(lookUp(table, code), judgeClose(info), String(code))
    }
    // No row for what there cannot be.
    for (const { what } of table) assert.ok(codes.includes(Number.parseInt(what, 10)), what)
  })

  test('say what becomes of every HTTP status', () => {
    const table = rows(guide, 'status')
    for (const status of range(100, 599)) {
      const error = new HandshakeError('ERR_WS_STATUS', '', { status })
      assert.equal(lookUp(table, status), judgeFailure(error), String(status))
    }
  })

  test('say what becomes of every error of a handshake', () => {
    for (const { what, verdict } of rows(guide, 'code', 1)) {
      const kind = errorKinds[what as keyof typeof errorKinds]
      if (verdict === 'by its status') continue
      // Those that are found in an answer know its status: that of an agreement.
      const status = ['ERR_WS_CONNECT', 'ERR_WS_HEADER_SYNTAX', 'ERR_WS_HEADER_LIMIT'].includes(what)
        ? undefined
        : 101
      const error =
        kind === 'TimeoutError'
          ? new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', 1)
          : new HandshakeError(what as CodeOf<'HandshakeError'>, '', { status })
      assert.ok(kind === 'TimeoutError' || kind === 'HandshakeError', what)
      assert.equal(words[verdict], judgeFailure(error), what)
    }
    assert.ok(rows(guide, 'code', 1).length >= 10)
  })

  test('are read as they are written', () => {
    const markdown = 'x\n\n| code | verdict |\n|---|---|\n| 1-3 | stops | y |\n| `E` | ends | |\n\nz'
    const table = rows(markdown, 'code')
    assert.deepEqual(table, [
      { what: '1-3', verdict: 'stops' },
      { what: 'E', verdict: 'ends' },
    ])
    assert.deepEqual([lookUp(table, 2), lookUp(table, 4), rows(markdown, 'status')], ['stop', undefined, []])
  })
})
