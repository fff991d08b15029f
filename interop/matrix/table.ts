import type { Ability, PeerKind } from './peer-kind.ts'
import { applies } from './run-matrix.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'

function cell(kind: PeerKind, scenario: Scenario): string {
  const sides = (['client', 'server'] as const).filter((side) => applies(kind, side, scenario))
  return sides.length === 2 ? 'both' : (sides[0] ?? '–')
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** Who goes through what on which side, in Markdown. */
export function matrixTable(kinds: readonly PeerKind[]): string {
  return [
    row(['', ...kinds.map(({ name }) => name)]),
    `|${'---|'.repeat(kinds.length + 1)}`,
    ...scenarios.map((scenario) => row([scenario.name, ...kinds.map((kind) => cell(kind, scenario))])),
  ].join('\n')
}

/** Why there is nothing in some cells, in Markdown. */
export function lacksTable(kinds: readonly PeerKind[]): string {
  const rows = kinds.flatMap(({ name, lacks }) =>
    (Object.entries(lacks) as [Ability, string][]).map(([ability, why]) => row([name, ability, why])),
  )
  return [row(['library', 'what it lacks', 'why']), '|---|---|---|', ...rows].join('\n')
}
