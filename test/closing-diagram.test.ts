import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { closingTable } from 'silverback/protocol'
import { root } from './repo.ts'

test('the diagrams of the closing handshake show exactly the transitions of the table', () => {
  const table = Object.entries(closingTable).flatMap(([from, events]) =>
    Object.entries(events).map(([event, to]) => `${from} ${event} ${to}`),
  )
  for (const path of ['docs/architecture.md', 'docs/closing.md']) {
    const page = readFileSync(join(root, path), 'utf8')
    const drawn = [...page.matchAll(/^ {2}(\w+) --> (\w+): (\w+)$/gm)].map(
      ([, from, to, event]) => `${from} ${event} ${to}`,
    )
    assert.deepEqual(drawn.sort(), table.sort(), path)
  }
})
