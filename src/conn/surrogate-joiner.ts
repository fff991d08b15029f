/**
 * Text in pieces that may be cut anywhere, also between the two halves of a character (a surrogate pair): its first half
 * goes with the next piece. One that its second half does not follow is encoded as U+FFFD, as in any other text.
 */
export class SurrogateJoiner {
  #half = ''

  /** Whether the last piece ended in the middle of a character. */
  get waits(): boolean {
    return this.#half !== ''
  }

  /** What of the pieces so far can be encoded, and was not given before. */
  join(piece: string): string {
    const all = this.#half + piece
    const cut = (all.charCodeAt(all.length - 1) & 0xfc00) === 0xd800
    this.#half = cut ? all.slice(-1) : ''
    return cut ? all.slice(0, -1) : all
  }

  /** No second half follows: gives the first as it is, or nothing. */
  flush(): string {
    const half = this.#half
    this.#half = ''
    return half
  }
}
