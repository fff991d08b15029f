import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCorpus } from './corpus.ts'
import { expectedAnswers, receiveAll, renderAll } from './engine.ts'
import { feedEveryWay } from './frames.ts'
import { checkClosing } from './fuzz-closing.ts'
import { checkCompression } from './fuzz-compression.ts'
import {
  checkDeflate,
  checkExtensions,
  checkHead,
  checkInflater,
  checkRequest,
  checkResponse,
  type HandshakeInput,
  limitChoices,
} from './fuzz-targets.ts'
import { decodeReference } from './reference.ts'

const corpus = readCorpus()

test('the corpus is there', () => {
  assert.ok(corpus.size >= 30, `${corpus.size} inputs`)
})

for (const [name, { kind, note, bytes }] of corpus) {
  test(`corpus: ${name}, ${note}`, async () => {
    if (kind === 'frames') {
      for (const role of ['server', 'client'] as const) {
        for (const limits of limitChoices) {
          const oracle = decodeReference(bytes, role, limits)
          const heard = feedEveryWay(bytes, (chunks) => receiveAll(role, chunks, { limits }), {
            randomCuts: 5,
          })
          assert.deepEqual(heard, { events: renderAll(oracle), answers: expectedAnswers(oracle) })
        }
      }
    } else if (kind === 'closing') checkClosing(bytes)
    else if (kind === 'compression') await checkCompression(bytes)
    else if (kind === 'head') await checkHead(bytes)
    else if (kind === 'extensions') checkExtensions(bytes.toString())
    else if (kind === 'deflate') {
      for (const maxSize of [1, 18, 200, 1000, 10_000]) checkDeflate(bytes, maxSize)
      for (let at = 0; at <= bytes.length; at++) await checkInflater(bytes, [at])
    } else {
      const input = JSON.parse(bytes.toString()) as HandshakeInput
      assert.equal(kind === 'request' ? typeof checkRequest(input) : typeof checkResponse(input), 'string')
    }
  })
}
