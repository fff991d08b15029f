import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { heapSlabs, Output, type SlabSource } from './output.ts'

/** Notes what is lent and given back. */
class Slabs implements SlabSource {
  readonly lent: Buffer[] = []
  readonly released: { slab: Buffer; reusable: boolean }[] = []
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  acquire(size: number): Buffer {
    const slab = Buffer.alloc(Math.max(size, this.#size), 0xdd)
    this.lent.push(slab)
    return slab
  }

  release(slab: Buffer, reusable: boolean): void {
    this.released.push({ slab, reusable })
  }
}

function write(output: Output, text: string): void {
  const room = output.room(text.length)
  output.advance(output.at + room.write(text, output.at, 'latin1'))
}

function pieces(output: Output): string[] {
  const taken = output.take()
  return (taken instanceof Uint8Array ? [taken] : taken).map((piece) => Buffer.from(piece).toString('latin1'))
}

describe('Output', () => {
  it('joins what is written into one piece', () => {
    const output = new Output()
    write(output, 'one ')
    write(output, 'two ')
    write(output, 'three')
    assert.equal(output.pending, 13)
    const taken = output.take()
    assert.ok(taken instanceof Uint8Array)
    assert.equal(Buffer.from(taken).toString(), 'one two three')
    assert.equal(output.pending, 0)
  })

  it('is empty at first, and after it was taken', () => {
    const output = new Output()
    assert.deepEqual(output.take(), [])
    assert.equal(output.lends, false)
    write(output, 'x')
    output.take()
    assert.equal(output.lends, true)
    output.recycle(true)
    assert.equal(output.lends, false)
    assert.deepEqual(output.take(), [])
  })

  it('keeps the order of what is written and what is appended', () => {
    const output = new Output(new Slabs(64))
    const large = (letter: string): Buffer => Buffer.alloc(3000, letter)
    write(output, 'a')
    output.append(large('b'))
    write(output, 'c')
    write(output, 'd')
    output.append(large('e'))
    output.append(large('f'))
    write(output, 'g')
    assert.equal(output.pending, 9004)
    assert.deepEqual(
      pieces(output).map((piece) => piece.slice(0, 2)),
      ['a', 'bb', 'cd', 'ee', 'ff', 'g'],
    )
  })

  it('appends large bytes by reference', () => {
    const output = new Output()
    const bytes = Buffer.alloc(2049)
    write(output, 'x')
    output.append(bytes)
    assert.equal((output.take() as Uint8Array[])[1], bytes)
  })

  it('copies few bytes behind others, and takes them as they are when they come first', () => {
    const output = new Output(new Slabs(4096))
    const bytes = Buffer.alloc(2048, 'y')
    output.append(bytes)
    assert.equal(output.pending, 2048)
    assert.equal(output.take(), bytes)
    assert.equal(output.lends, false)
    write(output, 'x')
    output.append(bytes)
    assert.equal(pieces(output).length, 1)
  })

  it('goes on in another slab when one is full, and gives all of them back once', () => {
    const slabs = new Slabs(10)
    const output = new Output(slabs)
    const words = ['12345', '67890', 'abcdef', 'ghijklmnopqrstuvwxyz', 'end']
    for (const word of words) write(output, word)
    assert.equal(pieces(output).join(''), words.join(''))
    assert.equal(slabs.lent.length, 4)
    assert.deepEqual(slabs.released, [])
    output.recycle(true)
    assert.deepEqual(
      slabs.released,
      slabs.lent.map((slab) => ({ slab, reusable: true })),
    )
    output.recycle(true)
    assert.equal(slabs.released.length, 4)
  })

  it('tells when its slabs are still being read', () => {
    const slabs = new Slabs(10)
    const output = new Output(slabs)
    write(output, 'x')
    output.take()
    output.recycle(false)
    assert.deepEqual(
      slabs.released.map(({ reusable }) => reusable),
      [false],
    )
  })

  it('never writes into a slab again that was taken', () => {
    const slabs = new Slabs(100)
    const output = new Output(slabs)
    write(output, 'first')
    const first = output.take() as Uint8Array
    write(output, 'second')
    assert.equal(Buffer.from(first).toString(), 'first')
    assert.equal(slabs.lent.length, 2)
  })

  it('asks for room without using it at no cost', () => {
    const output = new Output(new Slabs(10))
    output.room(5)
    output.room(5)
    assert.equal(output.pending, 0)
    assert.deepEqual(output.take(), [])
  })
})

describe('heapSlabs', () => {
  it('are new each time, and large enough', () => {
    const one = heapSlabs.acquire(10)
    const two = heapSlabs.acquire(10)
    assert.notEqual(one, two)
    assert.ok(one.length >= 1024)
    assert.ok(heapSlabs.acquire(100_000).length >= 100_000)
    heapSlabs.release(one, true)
    assert.notEqual(heapSlabs.acquire(10), one)
  })
})
