import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { blobSize, readBlob } from './runtime.ts'

describe('the runtime', () => {
  it('has of a Blob what it holds, and not what its class says', async () => {
    class Lying extends Blob {
      override arrayBuffer(): Promise<ArrayBuffer> {
        return Promise.resolve(new ArrayBuffer(7))
      }
    }
    const blob = Object.defineProperty(new Lying(['hello']), 'size', { value: 99_999 })
    assert.equal(blobSize(blob), 5)
    assert.equal(Buffer.from((await readBlob(blob)) ?? []).toString(), 'hello')
  })

  it('takes nothing else for a Blob', async () => {
    for (const value of [undefined, null, 'x', {}, Object.create(Blob.prototype), new Uint8Array(1)])
      assert.equal(blobSize(value), undefined)
    assert.equal(await readBlob({} as Blob), undefined)
  })
})
