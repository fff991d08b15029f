import { parseArgs } from 'node:util'

/** What `--help` prints. */
export const help = `Serves Silverback's demo: a number echo, a chat, and an echo of everything.

Usage: npm start -- [options]

  --port N   TCP port, 0 for any free one (default 8080)
  --host H   address to listen on (default 127.0.0.1: this machine only)
  --help     this text

Ctrl-C (or SIGTERM) stops accepting, tells every client goodbye (close code 1001) and ends;
a second one ends at once.
`

/** The command line, checked. */
export interface Options {
  readonly port: number
  readonly host: string
  readonly help: boolean
}

/** A mistake on the command line; the message is one line for the user. */
export class BadUsage extends Error {}

/**
 * Reads the demo's command line.
 *
 * @throws {BadUsage} for an unknown option, a missing value, or a value that can't be.
 */
export function parseOptions(args: readonly string[]): Options {
  const { port, host, help } = parse(args)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new BadUsage(`--port must be a whole number from 0 to 65535, not ${JSON.stringify(port)}`)
  }
  if (host.trim() === '') throw new BadUsage('--host must not be empty')
  return { port: Number(port), host, help }
}

function parse(args: readonly string[]): { port: string; host: string; help: boolean } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '8080' },
        host: { type: 'string', default: '127.0.0.1' },
        help: { type: 'boolean', default: false },
      },
    })
    return values
  } catch (error) {
    // Node explains at length; its first sentence says what is wrong.
    const [sentence = ''] = (error as Error).message.split(/\.\s/)
    throw new BadUsage(sentence.replace(/\.$/, ''))
  }
}
