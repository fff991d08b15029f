// What has to be seen of a case, as lines: by the application at the endpoint, and by the peer.

import type { Case, Role } from './case.ts'
import { show } from './payload.ts'

/** What has to be seen once a step is done, counted from the beginning. */
export interface Progress {
  readonly heard: readonly string[]
  readonly back: readonly string[]
}

/**
 * The endpoint echoes every message, answers every ping, and closes as the end says. One entry for each step.
 *
 * The reason of a Close frame that refuses is free, so only its code is compared: {@link withoutReason}.
 */
export function expectation(subject: Case): readonly Progress[] {
  const heard: string[] = []
  const back: string[] = []
  let closing = false
  const { end, steps } = subject
  return steps.map((step, i) => {
    if ('endpoint' in step) {
      const { endpoint: action } = step
      if ('send' in action) back.push(`${action.send} ${show(action.payload)}`)
      else if ('ping' in action) back.push(`ping ${show(action.ping)}`)
      else {
        back.push(`close ${action.close} ${action.reason}`)
        closing = true
      }
      return { heard: [...heard], back: [...back] }
    }
    for (const [kind, payload] of step.hears) {
      const line = `${kind} ${show(payload)}`
      heard.push(line)
      if (kind === 'ping') back.push(`pong ${show(payload)}`)
      else if (kind !== 'pong' && !closing) back.push(line)
    }
    if (i === steps.length - 1 && !closing) {
      if (end.kind === 'closed') back.push(`close ${end.code} `)
      else if (end.kind === 'refused') back.push(`close ${end.code} `)
    }
    return { heard: [...heard], back: [...back] }
  })
}

/** The lines as they came, without the wording of the Close frame that refused. */
export function comparable(subject: Case, lines: readonly string[]): readonly string[] {
  if (subject.end.kind !== 'refused') return lines
  return lines.map((line) => (line.startsWith('close ') ? `${line.split(' ', 2).join(' ')} ` : line))
}

/** What differs, in a few words; `undefined` when nothing does. */
export function difference(
  what: string,
  actual: readonly string[],
  wanted: readonly string[],
): string | undefined {
  const at = wanted.findIndex((line, i) => line !== actual[i])
  const first = at >= 0 ? at : actual.length > wanted.length ? wanted.length : -1
  if (first < 0) return undefined
  return `${what} number ${first + 1} is ${actual[first] ?? 'missing'}, not ${wanted[first] ?? 'nothing'}`
}

/** Whether the case is for an endpoint of this role. */
export function isFor(subject: Case, role: Role): boolean {
  return subject.roles === undefined || subject.roles.includes(role)
}
