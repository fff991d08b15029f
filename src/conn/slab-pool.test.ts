import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { pageSlabs, slabPool } from './slab-pool.ts'

const SLAB = 64 * 1024
const POOL = 32

describe('slabPool', () => {
  const held: Buffer[] = []
  const acquire = (size = 100): Buffer => {
    const slab = slabPool.acquire(size)
    held.push(slab)
    return slab
  }
  const release = (slab: Buffer, reusable: boolean): void => {
    held.splice(held.indexOf(slab), 1)
    slabPool.release(slab, reusable)
  }
  afterEach(() => {
    for (const slab of [...held]) release(slab, true)
  })

  it('lends a slab of 64 KiB whatever is asked for up to that', () => {
    assert.equal(acquire(1).length, SLAB)
    assert.equal(acquire(SLAB).length, SLAB)
  })

  it('lends a slab again when its bytes have left', () => {
    const slab = acquire()
    release(slab, true)
    assert.equal(acquire(), slab)
  })

  it('never lends a slab again that is still read', () => {
    const slab = acquire()
    release(slab, false)
    for (let i = 0; i < POOL; i++) assert.notEqual(acquire(), slab)
  })

  it('never lends a slab to two', () => {
    const slabs = Array.from({ length: POOL }, () => acquire())
    assert.equal(new Set(slabs).size, POOL)
  })

  it('gives small buffers when many are lent, which do not count', () => {
    const slabs = Array.from({ length: POOL }, () => acquire())
    assert.ok(slabs.every(({ length }) => length === SLAB))
    const small = acquire(10)
    assert.equal(small.length, 1024)
    assert.equal(acquire(5000).length, 5000)
    release(small, true)
    assert.equal(acquire().length, 1024)
    release(slabs[0] as Buffer, false)
    assert.equal(acquire().length, SLAB)
    assert.equal(acquire().length, 1024)
  })

  it('gives a buffer of its own for more than a slab holds, which does not count', () => {
    const large = acquire(SLAB + 1)
    assert.equal(large.length, SLAB + 1)
    const slabs = Array.from({ length: POOL }, () => acquire())
    assert.ok(slabs.every(({ length }) => length === SLAB))
    release(large, true)
    assert.notEqual(acquire(SLAB + 1), large)
  })
})

describe('pageSlabs', () => {
  it('lends 1 KiB for short frames, and never the same again', () => {
    const seen = new Map<ArrayBufferLike, Set<number>>()
    for (let i = 0; i < 100; i++) {
      const slab = pageSlabs.acquire(i * 10)
      assert.equal(slab.length, 1024)
      const places = seen.get(slab.buffer) ?? new Set()
      assert.ok(!places.has(slab.byteOffset))
      seen.set(slab.buffer, places.add(slab.byteOffset))
      pageSlabs.release(slab, true)
    }
  })

  it('lends what is asked for where that is more', () => {
    assert.equal(pageSlabs.acquire(1025).length, 1025)
    assert.equal(pageSlabs.acquire(1_000_000).length, 1_000_000)
  })
})
