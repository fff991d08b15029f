/** One line that says how far a run is: rewritten on a terminal, a line per step elsewhere. */
export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #total: number
  readonly #start: number = performance.now()
  #done = 0

  constructor(total: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#total = total
    this.#stream = stream
  }

  step(label: string): void {
    const share = this.#done++ / this.#total
    const passed = (performance.now() - this.#start) / 1000
    const left = share === 0 ? '' : `, ${Math.ceil((passed / share) * (1 - share))} s left`
    const text = `${Math.round(share * 100)} % ${label}${left}`
    if (!this.#stream.isTTY) return void this.#stream.write(`${text}\n`)
    const width = 20
    const bar = '#'.repeat(Math.round(share * width)).padEnd(width, '.')
    this.#stream.write(`\r\x1b[K[${bar}] ${text}`.slice(0, this.#stream.columns + 5))
  }

  /** Something that has to stay readable. */
  note(text: string): void {
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[K${text}\n` : `${text}\n`)
  }

  end(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}
