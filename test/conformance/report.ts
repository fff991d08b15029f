// docs/conformance.md: written from outcomes, and read again by the test that finds it out of date.

import { type Case, type Group, type Role, roles } from './case.ts'
import { isFor } from './expectation.ts'
import type { Outcome } from './run.ts'
import { type Chopping, choppings, type Transport, transports, waysOf } from './way.ts'
import type { WebOutcome } from './whatwg/play-group.ts'
import type { WebCase, WebGroup } from './whatwg/web-case.ts'

/** All that the document tells. */
export interface Report {
  readonly groups: readonly Group[]
  readonly outcomes: readonly Outcome[]
  readonly webGroups: readonly WebGroup[]
  readonly webOutcomes: readonly WebOutcome[]
  readonly seconds: number
  readonly node: string
}

/** How a way of chopping is written: small where it was as it should be, large and bold where it was not. */
const letters: { readonly [C in Chopping]: string } = { whole: 'w', bytes: 'b', cuts: 'c', edge: 'e' }

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

/** The row of a case; of ways that were not played nothing is said. */
export function rowOf(subject: Case, outcomes: readonly Outcome[]): string {
  const cell = (role: Role, transport: Transport): string => {
    if (!isFor(subject, role)) return ''
    return choppings
      .flatMap((chopping) => {
        const outcome = outcomes.find(
          (candidate) =>
            candidate.role === role && candidate.transport === transport && candidate.chopping === chopping,
        )
        if (outcome === undefined) return []
        return outcome.problem === undefined
          ? [letters[chopping]]
          : [`**${letters[chopping].toUpperCase()}**`]
      })
      .join('')
  }
  const cells = roles.flatMap((role) => transports.map((transport) => cell(role, transport)))
  return `| \`${subject.id}\` | ${escaped(subject.about)} | ${subject.autobahn} | ${cells.join(' | ')} |`
}

/** The row of a case that is as it should be in all its ways. */
export function goodRowOf(subject: Case): string {
  return rowOf(
    subject,
    waysOf(subject).map((way) => ({ id: subject.id, ...way, problem: undefined })),
  )
}

/** The row of a case of the class. */
export function webRowOf(subject: WebCase, problem: string | undefined): string {
  return `| \`${subject.id}\` | ${escaped(subject.about)} | ${problem === undefined ? 'passed' : '**FAILED**'} |`
}

/** All rows of cases in a document. */
export function rowsIn(document: string): string[] {
  return document.split('\n').filter((line) => /^\| `[^`]+` \| .* \|$/.test(line))
}

const count = (number: number): string => number.toLocaleString('en')

/** The whole document. */
export function renderReport(report: Report): string {
  const { groups, outcomes, webGroups, webOutcomes, seconds, node } = report
  const byCase = new Map<string, Outcome[]>()
  for (const outcome of outcomes) {
    const others = byCase.get(outcome.id)
    if (others === undefined) byCase.set(outcome.id, [outcome])
    else others.push(outcome)
  }
  const ofGroup = ({ cases }: Group): Outcome[] => cases.flatMap(({ id }) => byCase.get(id) ?? [])
  const webProblems = new Map(webOutcomes.map(({ id, problem }) => [id, problem]))
  const summary = groups.map((group) => {
    const played = ofGroup(group)
    const good = played.filter(({ problem }) => problem === undefined).length
    const link = `[${group.title}](#${anchor(group.title)})`
    return `| ${link} | ${group.autobahn} | ${count(group.cases.length)} | ${count(played.length)} | ${count(good)} | ${played.length - good} |`
  })
  const played = outcomes.length
  const good = outcomes.filter(({ problem }) => problem === undefined).length
  const cases = groups.reduce((sum, group) => sum + group.cases.length, 0)
  const webGood = webOutcomes.filter(({ problem }) => problem === undefined).length
  const webSummary = webGroups.map((group) => {
    const passed = group.cases.filter(({ id }) => webProblems.get(id) === undefined).length
    return `| [${group.title}](#${anchor(`WebSocket: ${group.title}`)}) | ${count(group.cases.length)} | ${count(passed)} | ${group.cases.length - passed} |`
  })
  return [
    ...introduction(cases, played, webOutcomes.length),
    '',
    `Result of \`npm run conformance -- --write\` on Node ${node}, in ${Math.round(seconds)} s:`,
    '',
    '| protocol | Autobahn group | cases | played | passed | failed |',
    '|---|---|---|---|---|---|',
    ...summary,
    `| all | | ${count(cases)} | ${count(played)} | ${count(good)} | ${played - good} |`,
    '',
    '| the class `WebSocket` | cases | passed | failed |',
    '|---|---|---|---|',
    ...webSummary,
    `| all | ${count(webOutcomes.length)} | ${count(webGood)} | ${webOutcomes.length - webGood} |`,
    '',
    ...reading,
    ...groups.flatMap((group) => [
      '',
      `## ${group.title}`,
      '',
      group.about,
      '',
      '| case | what | Autobahn | server: engine | server: sockets | client: engine | client: sockets |',
      '|---|---|---|---|---|---|---|',
      ...group.cases.map((subject) => rowOf(subject, byCase.get(subject.id) ?? [])),
    ]),
    ...webGroups.flatMap((group) => [
      '',
      `## WebSocket: ${group.title}`,
      '',
      group.about,
      '',
      '| case | what | result |',
      '|---|---|---|',
      ...group.cases.map((subject) => webRowOf(subject, webProblems.get(subject.id))),
    ]),
    '',
  ].join('\n')
}

function introduction(cases: number, played: number, webCases: number): string[] {
  return [
    '# Conformance',
    '',
    `${count(cases)} cases of our own look at what RFC 6455 and RFC 7692 ask of an endpoint, and ${count(webCases)} at the class`,
    '`WebSocket` of the WHATWG standard. They cover the ground of the groups 1 to 7, 9, 10, 12 and 13 of the Autobahn test',
    'suite, and what of the folder `websockets` of web-platform-tests does not need a page. Names and sentences are our own;',
    'the column "Autobahn" names the group that looks at the same rule. Each protocol case is played in both roles, unless it',
    'makes sense for one only (a mask that must be there, an offer that a server gets, an answer that a client gets), over the',
    `engine without I/O and over TCP, with its bytes chopped in several ways: ${count(played)} times in all.`,
    '',
    'Nothing is lenient: a case passes when the application hears exactly what it has to, the peer gets exactly what it has',
    'to, the end is the right one with the right code, and what is wrong is refused at the byte that makes it wrong. The',
    'limits are the defaults. A message above 1 MiB ends in 1009 with them (`.by-default`), and passes with a higher limit.',
  ]
}

const reading: readonly string[] = [
  '## How to read it',
  '',
  'The endpoint is an echo: each message comes back, each ping is answered. Of its peer nothing is shared with the engine:',
  'it has an encoder, a decoder and a compressor of its own. "Engine" is `Protocol` of `silverback/protocol`; "sockets" is',
  '`serve` for a server and `dial` for a client, with a bare TCP socket at the other end. A letter stands for each way in',
  'which the bytes came, a large one in bold would be a failure:',
  '',
  '- `w`: whole, in one write, or in writes of the size that the case says.',
  '- `b`: byte by byte. Over sockets up to 2 KiB, in the engine up to 128 KiB.',
  '- `c`: cut at random places, the same each time; up to 17 MiB, rows of compressed messages up to 256 KiB.',
  '- `e`: to the edge, for cases that are refused. The engine must not refuse before the byte that decides, and must with it;',
  '  over sockets no byte more is sent, and the Close frame has to come all the same.',
  '',
  'An empty cell: the case is for the other role. Run it with `npm run conformance`; `-- --group utf8` and',
  '`-- --case framing.text.126` play a part. The cases are data in `test/conformance`; `npm test` plays every case over the',
  'engine and all but the largest over sockets, long rows of messages shortened, and fails when this page does not list',
  'the cases as they are.',
  '',
  '### What was chosen',
  '',
  'The Autobahn suite plays its groups 12 and 13 with 1,000 messages of every size, up to 128 KiB. Here a row has 1,000',
  'messages too, as long as they come to no more than 2 MiB or 16 MiB; each row says its count. JSON with context takeover has',
  '1,000 of every size, and 1,000 of 128 KiB in frames of 1 KiB. Messages of 128 KiB, of which 2 MiB are 16, are far larger',
  'than any window: more of them would take longer and reach nothing else.',
  '',
  '### What of web-platform-tests is elsewhere, or left out',
  '',
  '- `?wss` and the files named `Secure-`: the group [Over TLS](#websocket-over-tls).',
  '- The variants over HTTP/2 (`?wpt_flags=h2`): RFC 8441, WebSockets on a stream of HTTP/2, is not built yet.',
  '- `stream/tentative` (`WebSocketStream`): `src/client/websocket-stream.test.ts`, and in browsers, beside the class of pages,',
  '  `interop/browser/parity`.',
  '- `cookies`, `referrer`, mixed content, `Origin`: a program has no page, and so none of these',
  '  ([ADR 0011](adr/0011-websocket-as-in-browsers.md)). `handshake.nothing-of-a-page` sees that nothing is sent.',
  '- `unload-a-document`, frames, the back-forward cache: there is no document. A worker that ends: `worker.ended-when-made`,',
  '  `worker.ended-when-open`.',
  '- `keeping-connection-open` waits 20 s, `events.stays-open` one: pings of our own begin after 25 s, and are tested with a',
  '  clock that is wound on.',
]

/** As GitHub makes it of a heading. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
