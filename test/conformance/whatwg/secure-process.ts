// Plays the cases over TLS that its arguments name, and prints what became of them. Its parent has it trust the
// certificate of the tests: see play-group.ts.

import { tls } from './tls.ts'
import { playWebCase } from './web-case.ts'

const ids = new Set(process.argv.slice(2))
const outcomes: (readonly [id: string, problem: string | undefined])[] = []
for (const subject of tls.cases)
  if (ids.has(subject.id)) outcomes.push([subject.id, await playWebCase(subject, true)])
console.log(JSON.stringify(outcomes))
