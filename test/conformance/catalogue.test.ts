// The catalogue itself: that it is whole, says what it does, and agrees with judges that are not the engine.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { decodeReference, isWellFormedUtf8 } from '../reference.ts'
import { root } from '../repo.ts'
import { type Case, roles } from './case.ts'
import { illFormed, unfinished, wellFormed } from './cases/utf8-table.ts'
import { catalogue, groups } from './catalogue.ts'
import { expectation, isFor } from './expectation.ts'
import { sizeOf } from './payload.ts'
import { peerStream } from './peer-stream.ts'
import { goodRowOf, rowsIn, webRowOf } from './report.ts'
import { roughSize, transports, waysOf } from './way.ts'
import { webCatalogue, webGroups } from './whatwg/catalogue.ts'

const MiB = 1024 * 1024

describe('the catalogue', () => {
  test('has every group of the suite that it is compared with', () => {
    assert.deepEqual(
      groups.map(({ autobahn }) => autobahn),
      ['1', '2', '3', '4', '5', '6', '7', '9', '10', '12', '13'],
    )
    for (const { name, autobahn, cases } of groups) {
      for (const { id, autobahn: own } of cases) {
        assert.ok(id.startsWith(`${name}.`), id)
        assert.ok(own === autobahn || own.startsWith(`${autobahn}.`), `${id} is of ${own}`)
      }
    }
  })

  test('names each case once, and says what it does', () => {
    const all = [...catalogue, ...webCatalogue]
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
    for (const { id, about } of all) {
      assert.match(id, /^[\w.-]+$/)
      assert.match(about, /^[^\n]+\.$/, id)
    }
    assert.ok(catalogue.length > 1000 && webCatalogue.length > 300 && webGroups.length > 0)
  })

  test('plays in each role of a case, over both transports, in every chopping that its size allows', () => {
    for (const subject of catalogue) {
      const ways = waysOf(subject)
      const size = roughSize(subject)
      const { kind } = subject.end
      for (const role of roles) {
        for (const transport of transports) {
          const played = ways.filter((way) => way.role === role && way.transport === transport)
          const longest = transport === 'engine' ? 128 * 1024 : 2048
          const wanted = [
            'whole',
            ...(kind !== 'no connection' && size <= longest ? ['bytes'] : []),
            ...(kind !== 'no connection' && size <= 256 * 1024 ? ['cuts'] : []),
            ...(kind === 'refused' ? ['edge'] : []),
          ]
          const choppings = played.map(({ chopping }) => chopping)
          // Up to 17 MiB may be cut, as long as it is not a row of compressed messages.
          const comparable = size > 256 * 1024 ? choppings.filter((one) => one !== 'cuts') : choppings
          assert.deepEqual(comparable, isFor(subject, role) ? wanted : [], subject.id)
        }
      }
    }
  })

  test('has cases for one role only where the other cannot have them', () => {
    const single = catalogue.filter(({ roles: only }) => only !== undefined).map(({ id }) => id)
    const kinds =
      /^(framing\.mask|offers\.(server|client|rows\.three-offers)\.|offers\.server-.*\.client-.*-open$)/
    assert.deepEqual(
      single.filter((id) => !kinds.test(id)),
      [],
    )
  })

  test('has the defaults for limits, except where a message is larger', () => {
    for (const { id, limits, steps, end } of catalogue) {
      const largest = Math.max(
        0,
        ...steps.flatMap((step) => ('hears' in step ? step.hears.map(([, payload]) => sizeOf(payload)) : [])),
      )
      const lowered = limits?.maxMessageSize === 10
      if (limits?.maxMessageSize !== undefined && !lowered) {
        assert.ok(largest > MiB, `${id} needs no higher limit`)
        const twin = catalogue.find((other) => other.id === `${id}.by-default`)
        assert.ok(twin?.end.kind === 'refused' && twin.end.code === 1009 && twin.limits === undefined, id)
      } else {
        assert.ok(largest <= MiB, id)
      }
      if (end.kind === 'refused' && end.code === 1009 && !lowered)
        assert.ok(id.endsWith('.by-default') || id.includes('.limit.'), `${id} ends in 1009`)
    }
  })
})

describe('judges that are not the engine', () => {
  test('the table of UTF-8 is that of the platform', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    const wellFormedHere = (digits: string): boolean => {
      const bytes = Buffer.from(digits, 'hex')
      try {
        decoder.decode(bytes)
        return isWellFormedUtf8(bytes)
      } catch {
        assert.ok(!isWellFormedUtf8(bytes), digits)
        return false
      }
    }
    for (const [name, , digits] of wellFormed) assert.ok(wellFormedHere(digits), name)
    for (const [name, , decisive, rest = ''] of illFormed) assert.ok(!wellFormedHere(decisive + rest), name)
    for (const [name, , digits] of unfinished) assert.ok(!wellFormedHere(digits), name)
  })

  test('the reference decoder hears what each case says, and refuses at the byte that it names', () => {
    let judged = 0
    for (const subject of catalogue) {
      if (subject.handshake !== undefined || roughSize(subject) > 70_000 || subject.steps.length === 0)
        continue
      const { maxMessageSize = MiB } = subject.limits ?? {}
      for (const role of roles.filter((one) => isFor(subject, one))) {
        const { steps, decided } = peerStream(subject, role, undefined)
        const stream = Buffer.concat(steps.map((step) => step?.bytes ?? Buffer.alloc(0)))
        const heard = decodeReference(stream, role, { maxMessageSize, maxFrameSize: maxMessageSize })
        assert.deepEqual(
          judgement(heard, subject),
          expectedOf(subject, decided),
          `${subject.id} as a ${role}`,
        )
        judged++
      }
    }
    assert.ok(judged > 1000, `only ${judged}`)
  })
})

/** What the reference decoder heard: how much, and how it ended. */
function judgement(heard: ReturnType<typeof decodeReference>, { end }: Case): unknown {
  const last = heard.at(-1)
  const count = heard.filter(({ kind }) => kind !== 'close' && kind !== 'fault').length
  if (last?.kind === 'fault') return { count, error: last.code, code: last.closeCode, at: last.at }
  if (last?.kind !== 'close') return { count, end: 'open' }
  return end.kind === 'closed' && end.by === 'endpoint'
    ? { count }
    : { count, code: last.code, reason: last.reason }
}

function expectedOf(subject: Case, decided: number | undefined): unknown {
  const { end } = subject
  const count = expectation(subject).at(-1)?.heard.length ?? 0
  if (end.kind === 'refused') return { count, error: end.error, code: end.code, at: decided }
  if (end.kind !== 'closed') return { count, end: 'open' }
  return end.by === 'endpoint' ? { count } : { count, code: end.code, reason: end.reason }
}

test('docs/conformance.md lists just these cases, each passed in all its ways', () => {
  const rows = rowsIn(readFileSync(join(root, 'docs/conformance.md'), 'utf8'))
  const wanted = [...catalogue.map(goodRowOf), ...webCatalogue.map((subject) => webRowOf(subject, undefined))]
  const stale = rows.filter((row) => !wanted.includes(row))
  const missing = wanted.filter((row) => !rows.includes(row))
  const say = 'run `npm run conformance -- --write`'
  assert.deepEqual(
    { stale: stale.slice(0, 3), missing: missing.slice(0, 3) },
    { stale: [], missing: [] },
    say,
  )
  assert.equal(rows.length, wanted.length)
})
