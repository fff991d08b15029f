import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { UpgradeHead } from './upgrade-head.ts'

/** The message that Node makes of a request for an upgrade, from a head that was read without Node's parser. */
export class UpgradeRequest extends IncomingMessage {
  declare readonly upgrade: boolean

  constructor(socket: Socket, { url, headers, rawHeaders }: UpgradeHead) {
    super(socket)
    this.method = 'GET'
    this.url = url
    this.httpVersionMajor = 1
    this.httpVersionMinor = 1
    this.httpVersion = '1.1'
    this.headers = headers
    this.rawHeaders = rawHeaders
    this.upgrade = true
    this.complete = true
  }

  /** There is no body: the end is told to those who ask. */
  override _read(): void {
    this.push(null)
  }
}

// Node makes it of a field of its own that only its parser can set. Few ask for it, so it is made then.
Object.defineProperty(UpgradeRequest.prototype, 'headersDistinct', {
  configurable: true,
  get(this: UpgradeRequest): Record<string, string[]> {
    const distinct: Record<string, string[]> = Object.create(null)
    // No name is there twice, and none has a value that Node changes.
    for (const [name, value] of Object.entries(this.headers)) distinct[name] = [value as string]
    return distinct
  },
})
