import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What an input is for. */
export type CorpusKind =
  | 'frames'
  | 'request'
  | 'response'
  | 'extensions'
  | 'deflate'
  | 'compression'
  | 'closing'
  | 'head'

/** One kept input. */
export interface CorpusEntry {
  readonly kind: CorpusKind
  /** What it is, in a line. */
  readonly note: string
  readonly bytes: Buffer
}

const folder = join(import.meta.dirname, 'corpus')

/** All kept inputs by file name. */
export function readCorpus(): Map<string, CorpusEntry> {
  const entries = new Map<string, CorpusEntry>()
  for (const name of readdirSync(folder).sort()) {
    if (name.endsWith('.hex')) entries.set(name, parseEntry(name, readFileSync(join(folder, name), 'utf8')))
  }
  return entries
}

function parseEntry(name: string, text: string): CorpusEntry {
  const lines = text.split('\n')
  const field = (key: string): string => {
    const line = lines.find((candidate) => candidate.startsWith(`# ${key}: `))
    if (line === undefined) throw new Error(`corpus/${name} has no "# ${key}: " line`)
    return line.slice(key.length + 4)
  }
  const digits = lines
    .filter((line) => !line.startsWith('#'))
    .join('')
    .replace(/\s/g, '')
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`corpus/${name} is not hexadecimal`)
  return { kind: field('kind') as CorpusKind, note: field('note'), bytes: Buffer.from(digits, 'hex') }
}

/** Keeps an input, and returns its path. The bytes stand in lines of 32, after lines of `# key: value`. */
export function writeCorpus(name: string, { kind, note, bytes }: CorpusEntry): string {
  const path = join(folder, `${name}.hex`)
  const digits = bytes.toString('hex').match(/.{1,64}/g) ?? []
  writeFileSync(path, `${[`# kind: ${kind}`, `# note: ${note}`, ...digits].join('\n')}\n`)
  return path
}
