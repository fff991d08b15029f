// What every peer has to carry in both directions, unchanged.

import assert from 'node:assert/strict'
import type { CloseInfo, Data } from 'silverback'

const MiB = 1024 * 1024

/** Bytes of every value, none of which is where it should be by accident. */
function bytes(length: number): Buffer {
  const result = Buffer.alloc(length)
  for (let i = 0; i < length; i++) result[i] = (i * 31 + (i >> 8)) & 0xff
  return result
}

/** Lengths on both sides of where the frame header changes its form (RFC 6455 section 5.2), and one that takes many reads. */
const lengths = [1, 125, 126, 127, 65_535, 65_536, 65_537, MiB]

/** Messages by a name for the report. */
export const samples: readonly { readonly name: string; readonly message: string | Buffer }[] = [
  { name: 'empty text', message: '' },
  { name: 'text of one, two, three and four bytes a character', message: 'a é € 🦍\u0000' },
  { name: 'text with a byte order mark', message: '\ufeffa' },
  { name: 'empty binary', message: Buffer.alloc(0) },
  ...lengths.map((length) => ({ name: `text of ${length} bytes`, message: 'x'.repeat(length) })),
  ...lengths.map((length) => ({ name: `binary of ${length} bytes`, message: bytes(length) })),
  { name: 'text of 1 MiB that is not ASCII', message: '€'.repeat(Math.floor(MiB / 3)) },
]

/** Compares a message that came back with the one that was sent; the two may hold the same bytes as different classes. */
export function assertSame(actual: Data, expected: Data, name: string): void {
  if (typeof expected === 'string') return assert.ok(actual === expected, name)
  assert.ok(typeof actual !== 'string' && Buffer.compare(actual, expected) === 0, name)
}

/** The part of a `CloseInfo` that does not depend on timing. */
export function ending({ code, reason, by, wasClean }: CloseInfo): Partial<CloseInfo> {
  return { code, reason, by, wasClean }
}
