/** The most subprotocols that a server looks at in one offer. */
export const maxSubprotocols = 32

/** The most elements that one `Sec-WebSocket-Extensions` list may have. */
export const maxExtensions = 32

/** The most parameters that one extension may have. */
export const maxExtensionParams = 16

/**
 * The parameters of one extension in the order of the header; `true` stands for a parameter without a value.
 * A map, so that a parameter named `constructor` is a name like any other.
 */
export type ExtensionParams = ReadonlyMap<string, string | true>

/** One element of a `Sec-WebSocket-Extensions` list (RFC 6455 section 9.1). */
export interface ExtensionItem {
  /** The extension's name. */
  readonly name: string
  /** Its parameters; of one that repeats, the first. */
  readonly params: ExtensionParams
  /** Whether a parameter stands there more than once: the grammar allows it, extensions decline it (RFC 7692 section 7.1). */
  readonly repeats: boolean
}

/** Blanks of a header value (RFC 7230 section 3.2.3). */
export const TAB = 0x09
export const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const SLASH = 0x2f
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c

const tokenChars: Uint8Array = new Uint8Array(128)
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  tokenChars[char.charCodeAt(0)] = 1
}

function isTokenChar(code: number): boolean {
  return tokenChars[code] === 1
}

/** Whether a string is a `token` of RFC 7230 section 3.2.6: one or more of ``!#$%&'*+-.^_`|~``, digits and letters. */
export function isToken(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    if (!isTokenChar(value.charCodeAt(index))) return false
  }
  return value.length > 0
}

/**
 * Walks over a header value. The position never goes back and only the next character is ever looked at, so that
 * every parser made of these methods takes time in proportion to the length, whatever a peer sends.
 */
class Scanner {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  get done(): boolean {
    return this.#position === this.#text.length
  }

  #peek(): number {
    return this.done ? -1 : this.#text.charCodeAt(this.#position)
  }

  /** Consumes the next character if it is this one. */
  take(code: number): boolean {
    if (this.#peek() !== code) return false
    this.#position++
    return true
  }

  /** Consumes white space, and then the next character if it is this one. */
  takeAfterSpace(code: number): boolean {
    this.skipSpace()
    return this.take(code)
  }

  skipSpace(): void {
    while (this.take(SPACE) || this.take(TAB));
  }

  skipSpaceAndCommas(): void {
    while (this.take(SPACE) || this.take(TAB) || this.take(COMMA));
  }

  token(): string | undefined {
    const start = this.#position
    while (isTokenChar(this.#peek())) this.#position++
    return this.#position === start ? undefined : this.#text.slice(start, this.#position)
  }

  /** The rest of a quoted string after its opening quote, unescaped; `undefined` when that is not a token. */
  quotedToken(): string | undefined {
    let value = ''
    while (!this.take(QUOTE)) {
      this.take(BACKSLASH)
      const code = this.#peek()
      if (!isTokenChar(code)) return undefined
      this.#position++
      value += String.fromCharCode(code)
    }
    return value === '' ? undefined : value
  }
}

/** `1#item` as RFC 7230 section 7 lets a recipient read it: with empty elements, but at least one that is not. */
function parseList<Item>(
  value: string,
  maxItems: number,
  readItem: (scanner: Scanner) => Item | undefined,
): Item[] | undefined {
  const scanner = new Scanner(value)
  const items: Item[] = []
  scanner.skipSpaceAndCommas()
  while (!scanner.done) {
    const item = readItem(scanner)
    if (item === undefined || items.length === maxItems) return undefined
    items.push(item)
    if (!scanner.takeAfterSpace(COMMA) && !scanner.done) return undefined
    scanner.skipSpaceAndCommas()
  }
  return items.length === 0 ? undefined : items
}

function readToken(scanner: Scanner): string | undefined {
  return scanner.token()
}

/** `token` or, as the Upgrade header has them (RFC 7230 section 6.7), `token/token`. */
function readProtocol(scanner: Scanner): string | undefined {
  const name = scanner.token()
  if (name === undefined || !scanner.take(SLASH)) return name
  const version = scanner.token()
  return version === undefined ? undefined : `${name}/${version}`
}

/** Reads one parameter; `undefined` when it is malformed. */
function readParam(scanner: Scanner): readonly [name: string, value: string | true] | undefined {
  scanner.skipSpace()
  const name = scanner.token()
  if (name === undefined) return undefined
  if (!scanner.takeAfterSpace(EQUALS)) return [name, true]
  const value = scanner.takeAfterSpace(QUOTE) ? scanner.quotedToken() : scanner.token()
  return value === undefined ? undefined : [name, value]
}

function readExtension(scanner: Scanner): ExtensionItem | undefined {
  const name = scanner.token()
  if (name === undefined) return undefined
  const params = new Map<string, string | true>()
  let count = 0
  for (; scanner.takeAfterSpace(SEMICOLON); count++) {
    const param = count === maxExtensionParams ? undefined : readParam(scanner)
    if (param === undefined) return undefined
    if (!params.has(param[0])) params.set(...param)
  }
  return { name, params, repeats: params.size < count }
}

/**
 * Parses a comma-separated list of tokens (RFC 7230 section 7), such as `Sec-WebSocket-Protocol`. Empty elements
 * are skipped; the case of the tokens and their order are kept. Takes time in proportion to the length.
 *
 * @param maxItems The most elements to take; no limit by default.
 * @returns `undefined` when the value is malformed, has no element, or has more than `maxItems`.
 */
export function parseTokenList(
  value: string,
  maxItems: number = Number.POSITIVE_INFINITY,
): string[] | undefined {
  return parseList(value, maxItems, readToken)
}

/**
 * Whether a list of tokens, such as the value of `Connection` or `Upgrade`, has this one, in whatever case.
 * Elements of the form `name/version` (RFC 7230 section 6.7) may stand beside it. `false` for a header that is
 * missing or malformed.
 *
 * @param lowerToken The token to look for, in lower case.
 */
export function listHasToken(value: string | undefined, lowerToken: string): boolean {
  if (value === undefined) return false
  const items = parseList(value, Number.POSITIVE_INFINITY, readProtocol)
  return items?.some((item) => item.toLowerCase() === lowerToken) ?? false
}

/**
 * Parses `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): elements in the order of the header, parameter values as
 * tokens, be they quoted there or not. White space around `;`, `=` and `,` is skipped, as are empty elements. Takes
 * time in proportion to the length.
 *
 * @returns `undefined` when the value is malformed, has no element or the same parameter twice in one element, or
 * has more than 32 extensions, or one with more than 16 parameters.
 */
export function parseExtensions(value: string): ExtensionItem[] | undefined {
  return parseList(value, maxExtensions, readExtension)
}

/**
 * The element of `Sec-WebSocket-Extensions` for one extension. The name, and the parameters' names and values, have
 * to be tokens.
 */
export function formatExtension(name: string, params: ExtensionParams): string {
  let text = name
  for (const [key, value] of params) text += value === true ? `; ${key}` : `; ${key}=${value}`
  return text
}
