// What both pages share.

/** @param {string} id */
export const byId = (id) => document.getElementById(id)

/** How many bytes a text takes on the wire. @param {string} text */
export const utf8Length = (text) => new TextEncoder().encode(text).length

/** Shows what is wrong with a field right beside it; an empty text takes the message away. */
export function tellProblem(field, text) {
  byId(`${field.id}-problem`).textContent = text
  if (text === '') {
    field.removeAttribute('aria-invalid')
  } else {
    field.setAttribute('aria-invalid', 'true')
    field.focus()
  }
}

const meanings = new Map([
  [1000, 'normal closure'],
  [1001, 'going away'],
  [1002, 'protocol error'],
  [1003, 'unsupported data'],
  [1005, 'no code in the Close frame'],
  [1006, 'no Close frame: the connection broke, or never was'],
  [1007, 'invalid payload'],
  [1008, 'policy violation'],
  [1009, 'message too big'],
  [1010, 'extension missing'],
  [1011, 'internal error'],
  [1012, 'service restart'],
  [1013, 'try again later'],
])

/** A close code in words. @param {number} code */
export const closeMeaning = (code) =>
  meanings.get(code) ?? (code >= 4000 ? 'private use' : code >= 3000 ? 'registered use' : 'unknown')

/**
 * A list that grows at its end. It follows the newest entry as long as the reader is at the bottom,
 * and stays where it is once they scroll up to read.
 */
export class StickyLog {
  #scroller
  #list
  #empty
  #max

  constructor(max = 500) {
    this.#scroller = byId('log')
    this.#list = byId('log-list')
    this.#empty = byId('log-empty')
    this.#max = max
  }

  get scroller() {
    return this.#scroller
  }

  get atBottom() {
    // One pixel of grace: scroll positions are fractions on zoomed and dense screens.
    return this.#scroller.scrollHeight - this.#scroller.clientHeight - this.#scroller.scrollTop < 2
  }

  /** Appends an entry; tells whether the reader sees it. @param {HTMLLIElement} entry */
  append(entry) {
    const follow = this.atBottom
    this.#empty.hidden = true
    this.#list.append(entry)
    if (this.#list.childElementCount > this.#max) this.#list.firstElementChild.remove()
    if (follow) this.toBottom()
    return follow
  }

  toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight
  }

  clear() {
    this.#list.replaceChildren()
    this.#empty.hidden = false
  }
}

/** The time of day as a <time> element. */
export function timestamp(options) {
  const now = new Date()
  const time = document.createElement('time')
  time.dateTime = now.toISOString()
  time.textContent = now.toLocaleTimeString('en-GB', options)
  return time
}
