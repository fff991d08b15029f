import { after, describe, test } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { Bench } from './bench.ts'
import type { PeerKind, Side } from './peer-kind.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'

/** Whether this peer goes through this scenario on this side. */
export function applies({ sides, lacks }: PeerKind, side: Side, scenario: Scenario): boolean {
  if (!sides.includes(side) || (scenario.side ?? side) !== side) return false
  return (scenario.needs ?? []).every((ability) => lacks[ability] === undefined)
}

const titles = { client: 'as the client of our server', server: 'as the server of our client' }

/** Makes the tests of one column of the matrix, and checks that they leave nothing behind. */
export function runMatrix(kind: PeerKind): void {
  const program = kind.program()
  after(() => assertNoLeaks())
  for (const side of kind.sides) {
    const skip = program === undefined ? `not installed (apt-get install ${kind.packages})` : false
    describe(`${kind.name} ${titles[side]}`, { skip }, () => {
      if (program === undefined) return
      const bench = new Bench(kind, side, program)
      after(() => bench[Symbol.asyncDispose]())
      for (const scenario of scenarios) {
        if (applies(kind, side, scenario)) test(scenario.name, () => scenario.run(bench))
      }
    })
  }
}
