// What `npm test` plays of the catalogue: every case, but not in every way that `npm run conformance` has, and of the
// rows of a thousand messages only the first ones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Case, closedByPeer, type Group, roles } from './case.ts'
import { sizeOf } from './payload.ts'
import { runCases } from './run.ts'
import { roughSize, seedOf, type Transport, type Way } from './way.ts'

const KiB = 1024

/** Of cases that are larger, only one role (that which the case is for, where it is for one), in one piece. Over sockets they are left out. */
const LARGE = 256 * KiB

/** Of a row of messages, so much; of compressed ones, which are many rows, less. */
const ROW = 256 * KiB
const COMPRESSED_ROW = 32 * KiB

/** Of cases that are smaller, all ways. */
const SMALL = 4 * KiB

function wants(subject: Case, { role, transport, chopping }: Way, transports: readonly Transport[]): boolean {
  if (!transports.includes(transport)) return false
  const size = roughSize(subject)
  const single = subject.end.kind === 'refused' ? 'edge' : 'whole'
  if (size > LARGE)
    return (
      transport === 'engine' &&
      chopping === single &&
      role === (subject.roles?.[0] ?? roles[seedOf(subject, 'server') % 2])
    )
  if (transport === 'sockets') return chopping === single || (chopping === 'cuts' && size <= SMALL)
  return chopping === single || chopping === 'whole' || size <= SMALL
}

/** The same with the first messages of a long row. */
function shortened(subject: Case): Case {
  const [step] = subject.steps
  const rest = subject.steps.at(-1)
  if (subject.end !== closedByPeer || step === undefined || !('peer' in step) || rest === undefined)
    return subject
  const compressed = subject.handshake !== undefined
  const most = compressed ? COMPRESSED_ROW : ROW
  if (!('peer' in rest) || roughSize(subject) <= most || step.hears.length < 8) return subject
  const each = Math.max(1, sizeOf(step.hears[0]?.[1]))
  const count = Math.min(step.hears.length, Math.max(compressed ? 2 : 8, Math.floor(most / each)))
  const peer = [...step.peer.slice(0, count), ...rest.peer.slice(-1)]
  return { ...subject, steps: [{ ...step, peer, hears: step.hears.slice(0, count) }] }
}

/** A test for each group: all of its cases, over the engine or over sockets. */
export function testGroups(groups: readonly Group[], transport: Transport): void {
  for (const { name, cases: whole } of groups) {
    const cases = whole.map(shortened)
    test(`${name}: ${transport === 'engine' ? 'all cases over the engine' : 'all but the largest cases over sockets'}`, async () => {
      const outcomes = await runCases(cases, { wants: (subject, way) => wants(subject, way, [transport]) })
      const problems = outcomes
        .filter(({ problem }) => problem !== undefined)
        .map(({ id, role, chopping, problem }) => `${id} (${role}, ${chopping}): ${problem}`)
      assert.deepEqual(problems, [])
      const played = new Set(outcomes.map(({ id }) => id))
      const left = cases.filter((subject) => !played.has(subject.id))
      assert.ok(left.every((subject) => transport === 'sockets' && roughSize(subject) > LARGE))
    })
  }
}
