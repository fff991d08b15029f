import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { copyApart, heapSlabs, Output, type SlabSource } from './output.ts'

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

function pieces(output: Output, limit?: number): string[] {
  const taken = output.take(limit)
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
    write(output, 'x')
    output.take()
    output.recycle(true)
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

  it('joins shared frames once for all that send the same', () => {
    const frames = ['one ', 'two ', 'three'].map((text) => Buffer.from(text))
    const taken = [0, 1].map(() => {
      const output = new Output()
      for (const frame of frames) output.share(frame)
      assert.equal(output.pending, 13)
      return output.take()
    })
    assert.ok(taken[0] instanceof Uint8Array)
    assert.equal(Buffer.from(taken[0]).toString(), 'one two three')
    assert.equal(taken[0], taken[1])
  })

  it('keeps the order of shared frames and others, in one piece', () => {
    const [one, two] = [Buffer.from('one '), Buffer.from('two ')] as const
    const output = new Output()
    output.share(one)
    write(output, 'mine ')
    output.share(two)
    output.append(Buffer.from('last'))
    assert.deepEqual(pieces(output), ['one mine two last'])
    // Others that send the same shared frames have nothing of it.
    const other = new Output()
    other.share(one)
    other.share(two)
    assert.deepEqual(pieces(other), ['one two '])
  })

  it('shares nothing of bytes that their owner may change', () => {
    const [shared, large] = [Buffer.from('shared'), Buffer.alloc(3000, 'a')]
    const sent = ['a', 'b'].map((letter) => {
      large.fill(letter)
      const output = new Output()
      output.share(shared)
      output.append(large)
      return pieces(output).join('')
    })
    assert.deepEqual(sent, [`shared${'a'.repeat(3000)}`, `shared${'b'.repeat(3000)}`])
  })

  it('copies shared frames that wait long, are long, or are many, so that they take no more memory', () => {
    const frame = Buffer.alloc(100, 'x')
    const held = new Output()
    held.held = true
    for (let i = 0; i < 100_000; i++) held.share(frame)
    const waiting = held.take() as Uint8Array[]
    assert.ok(waiting.length < 300, `${waiting.length} pieces`)
    assert.equal(
      waiting.reduce((sum, piece) => sum + piece.length, 0),
      10_000_000,
    )
    const output = new Output()
    for (let i = 0; i < 10_000; i++) output.share(frame)
    const many = output.take() as Uint8Array[]
    assert.ok(many.length < 300, `${many.length} pieces`)
    assert.equal(
      many.reduce((sum, piece) => sum + piece.length, 0),
      1_000_000,
    )
  })

  it('can be taken in steps that cut shared frames', () => {
    const output = new Output()
    for (const text of ['one ', 'two ', 'three ']) output.share(Buffer.from(text))
    assert.equal(pieces(output, 6).join(''), 'one tw')
    output.share(Buffer.from('four'))
    assert.deepEqual(pieces(output).join(''), 'o three four')
  })

  it('copies few bytes behind others, and takes them as they are when they come first', () => {
    const slabs = new Slabs(4096)
    const output = new Output(slabs)
    const bytes = Buffer.alloc(2048, 'y')
    output.append(bytes)
    assert.equal(output.pending, 2048)
    assert.equal(output.take(), bytes)
    assert.equal(slabs.lent.length, 0)
    write(output, 'x')
    output.append(bytes)
    assert.equal(pieces(output).length, 1)
  })

  it('borrows one slab at a time, goes on in its own memory when that is full, and gives it back once', () => {
    const slabs = new Slabs(10)
    const output = new Output(slabs)
    const words = ['12345', '67890', 'abcdef', 'ghijklmnopqrstuvwxyz', 'end']
    for (const word of words) write(output, word)
    assert.equal(pieces(output).join(''), words.join(''))
    assert.equal(slabs.lent.length, 1)
    assert.deepEqual(slabs.released, [])
    output.recycle(true)
    output.recycle(true)
    assert.deepEqual(slabs.released, [{ slab: slabs.lent[0], reusable: true }])
    write(output, 'next turn')
    assert.equal(slabs.lent.length, 2)
  })

  it('borrows nothing while it is held: what is written then may wait long, and grows in few pieces', () => {
    const slabs = new Slabs(10)
    const output = new Output(slabs)
    output.held = true
    for (let i = 0; i < 100_000; i++) write(output, 'tiny')
    assert.equal(slabs.lent.length, 0)
    assert.equal(output.pending, 400_000)
    const waiting = output.take() as Uint8Array[]
    assert.ok(waiting.length < 20, `${waiting.length} pieces`)
    // Small ones share a pool, of another size in each version of Node.
    const memory = [...new Set(waiting.map(({ buffer }) => buffer))].reduce((sum, b) => sum + b.byteLength, 0)
    assert.ok(memory < 600_000, `${memory} bytes of memory`)
  })

  it('copies what would keep the chunk alive that it came in, while it is held: nothing else', () => {
    const chunk = Buffer.alloc(64 * 1024)
    const file = Buffer.alloc(1024 * 1024)
    const appended = (held: boolean, bytes: Buffer): unknown => {
      const output = new Output()
      output.held = held
      output.append(bytes)
      return (output.take() as Buffer).buffer
    }
    assert.notEqual(appended(true, chunk.subarray(0, 17_000)), chunk.buffer)
    assert.equal(appended(true, chunk.subarray(0, 50_000)), chunk.buffer)
    assert.equal(appended(false, chunk.subarray(0, 17_000)), chunk.buffer)
    // A frame of a long message: the whole is kept anyway.
    assert.equal(appended(true, file.subarray(0, 128 * 1024)), file.buffer)
  })

  it('can be taken in steps, cut anywhere', () => {
    const slabs = new Slabs(8)
    const output = new Output(slabs)
    const large = Buffer.alloc(3000, 'L')
    write(output, '12345')
    output.append(large)
    write(output, '67890')
    const all = `12345${large.toString('latin1')}67890`
    let text = ''
    for (const limit of [1, 3, 4, 2998, 3]) {
      const step = pieces(output, limit).join('')
      assert.equal(step.length, limit)
      text += step
      output.recycle(true)
    }
    write(output, 'more')
    text += pieces(output).join('')
    assert.equal(text, `${all}more`)
    // A slab whose bytes are partly still to be taken is not for others.
    assert.deepEqual(slabs.released[0], { slab: slabs.lent[0], reusable: false })
    assert.equal(output.pending, 0)
  })

  for (const limit of [undefined, 4000]) {
    it(`notices that bytes have gone that it was given by reference (limit ${limit})`, () => {
      const output = new Output()
      const bytes = new Uint8Array(5000)
      write(output, 'x')
      output.append(bytes)
      output.append(new Uint8Array(5000))
      structuredClone(bytes, { transfer: [bytes.buffer] })
      assert.throws(() => output.take(limit), /was transferred or resized before/)
    })
  }

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
    assert.equal(pieces(output).join(), 'second')
    assert.equal(slabs.lent.length, 1)
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

describe('copyApart', () => {
  it('copies bytes into memory that nothing else is in, and so do the slabs from the heap', () => {
    const { poolSize } = Buffer
    try {
      for (const size of [8 * 1024, 64 * 1024]) {
        Buffer.poolSize = size
        for (const length of [0, 1, 100, 3000, 20_000]) {
          const bytes = Buffer.allocUnsafe(length).fill('x')
          const copy = copyApart(bytes)
          assert.ok(copy.equals(bytes))
          assert.notEqual(copy.buffer, bytes.buffer)
          assert.equal(copy.buffer.byteLength, length)
          assert.equal(heapSlabs.acquire(length).buffer.byteLength, Math.max(1024, length))
        }
      }
    } finally {
      Buffer.poolSize = poolSize
    }
  })
})
