// `npm run conformance`: plays the catalogue, and writes docs/conformance.md if asked to.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../repo.ts'
import type { Group } from './case.ts'
import { groups } from './catalogue.ts'
import { renderReport } from './report.ts'
import { type Outcome, runCases } from './run.ts'
import { webGroups } from './whatwg/catalogue.ts'
import { playWebGroup, type WebOutcome } from './whatwg/play-group.ts'
import type { WebGroup } from './whatwg/web-case.ts'

const help = `Usage: npm run conformance -- [options]

Plays every protocol case in the roles that it is for, over the engine and over sockets, and every case of the WebSocket class. Takes
some minutes. Ends with 1 when a case fails, and with 2 when an option is wrong.

  --group NAME  only this group: ${groups.map(({ name }) => name).join(', ')};
                or of the class: ${webGroups.map(({ name }) => `WebSocket.${name}`).join(', ')}
  --case ID     only this case, such as framing.text.126, or those that begin so, such as framing.text.*
  --write       write docs/conformance.md; with all cases only
  --help        print this`

/** Something is wrong with the command: only the message is printed. */
class CommandError extends Error {}

const page = 'docs/conformance.md'

interface Chosen {
  readonly groups: readonly Group[]
  readonly webGroups: readonly WebGroup[]
}

function choose(group: string | undefined, id: string | undefined): Chosen {
  const wanted = (name: string): boolean =>
    id === undefined || (id.endsWith('*') ? name.startsWith(id.slice(0, -1)) : name === id)
  const part = <G extends Group | WebGroup>(all: readonly G[], prefix: string): G[] =>
    all
      .filter(({ name }) => group === undefined || `${prefix}${name}` === group)
      .map((one) => ({
        ...one,
        cases: (one.cases as readonly { readonly id: string }[]).filter((subject) => wanted(subject.id)),
      }))
      .filter(({ cases }) => cases.length > 0)
  const chosen = { groups: part(groups, ''), webGroups: part(webGroups, 'WebSocket.') }
  if (chosen.groups.length + chosen.webGroups.length === 0)
    throw new CommandError('there is no such group or case; --help names the groups')
  return chosen
}

async function playGroup({ name, cases }: Group): Promise<Outcome[]> {
  const start = performance.now()
  let last = start
  let played = 0
  const outcomes = await runCases(cases, {
    onOutcome({ id, role, transport, chopping, problem }) {
      played++
      if (problem !== undefined) console.log(`✖ ${id} (${role}, ${transport}, ${chopping}): ${problem}`)
      if (performance.now() - last < 5000) return
      last = performance.now()
      console.log(`  ${name}: played ${played}, now ${id}`)
    },
  })
  tell(name, cases.length, outcomes, start)
  return outcomes
}

async function playClass(group: WebGroup): Promise<WebOutcome[]> {
  const start = performance.now()
  const outcomes = await playWebGroup(group)
  for (const { id, problem } of outcomes) if (problem !== undefined) console.log(`✖ ${id}: ${problem}`)
  tell(`WebSocket.${group.name}`, group.cases.length, outcomes, start)
  return outcomes
}

function tell(name: string, cases: number, outcomes: readonly WebOutcome[], start: number): void {
  const failed = outcomes.filter(({ problem }) => problem !== undefined).length
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  const mark = failed === 0 ? '✔' : '✖'
  console.log(
    `${mark} ${name}: ${cases} cases, played ${outcomes.length} times, ${failed} failed (${seconds} s)`,
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      group: { type: 'string' },
      case: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  if (values.write && (values.group ?? values.case) !== undefined)
    throw new CommandError('--write needs all cases: leave out --group and --case')
  const chosen = choose(values.group, values.case)
  const start = performance.now()
  const outcomes: Outcome[] = []
  for (const group of chosen.groups) outcomes.push(...(await playGroup(group)))
  const webOutcomes: WebOutcome[] = []
  for (const group of chosen.webGroups) webOutcomes.push(...(await playClass(group)))
  const seconds = (performance.now() - start) / 1000
  tell(
    'all',
    new Set([...outcomes, ...webOutcomes].map(({ id }) => id)).size,
    [...outcomes, ...webOutcomes],
    start,
  )
  if ([...outcomes, ...webOutcomes].some(({ problem }) => problem !== undefined)) process.exitCode = 1
  if (!values.write) return
  writeFileSync(
    join(root, page),
    renderReport({ ...chosen, outcomes, webOutcomes, seconds, node: process.versions.node }),
  )
  console.log(`wrote ${page}`)
}

await main().catch((error: unknown) => {
  const known =
    error instanceof CommandError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  console.error(known ? `${(error as Error).message}\n\n${help}` : error)
  process.exitCode = known ? 2 : 1
})
