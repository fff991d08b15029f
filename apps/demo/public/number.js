// The page of the number echo: one WebSocket, opened and closed by hand, and a log of all it says.

import { byId, closeMeaning, StickyLog, tellProblem, timestamp, utf8Length } from './page.js'

const stateNames = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED']
const log = new StickyLog()

/** @type {WebSocket | undefined} */
let socket

// --- the connection ---------------------------------------------------------------------------------------

function connect(url) {
  const ws = new WebSocket(url)
  socket = ws
  write('connect', url)

  ws.addEventListener('open', () => write('open', 'the handshake is done'))
  ws.addEventListener('message', ({ data }) => {
    write('message', typeof data === 'string' ? data : `${data.size} bytes`)
    pulse('in')
  })
  // A browser never tells a page why a connection failed: that would let pages scan the network.
  ws.addEventListener('error', () => write('error', 'browsers do not tell pages the cause'))
  ws.addEventListener('close', ({ code, reason, wasClean }) => {
    const quoted = reason === '' ? '' : `“${reason}” · `
    write('close', `${code} ${closeMeaning(code)} · ${quoted}${wasClean ? 'clean' : 'not clean'}`)
  })
  watch(ws)
}

function send(text) {
  socket.send(text)
  write('sent', text)
  pulse('out')
}

const isOpen = () => socket?.readyState === WebSocket.OPEN
const isGone = () => socket === undefined || socket.readyState === WebSocket.CLOSED

// --- what the page shows ----------------------------------------------------------------------------------

function write(kind, detail) {
  const entry = document.createElement('li')
  entry.className = `entry ${kind}`
  const kindLabel = document.createElement('b')
  kindLabel.textContent = kind
  const detailText = document.createElement('span')
  detailText.textContent = detail
  entry.append(timestamp({ precise: true }), kindLabel, detailText)
  log.append(entry)
  show()
}

function show() {
  const state = socket?.readyState
  const name = state === undefined ? 'none' : stateNames[state]
  setText('state', state === undefined ? 'not connected' : name)
  setText('ready-state', state === undefined ? '–' : `${state} ${name}`)
  setText('buffered-amount', socket === undefined ? '–' : bytes(socket.bufferedAmount))
  byId('wire').dataset.state = name.toLowerCase()
  // Dimmed, not disabled: a disabled button would drop the keyboard's focus, and could not say what is missing.
  byId('connect-button').setAttribute('aria-disabled', String(!isGone()))
  byId('send-button').setAttribute('aria-disabled', String(!isOpen()))
  byId('raw-button').setAttribute('aria-disabled', String(!isOpen()))
  byId('close-button').setAttribute('aria-disabled', String(isGone()))
}

function setText(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

const bytes = (count) => `${count.toLocaleString('en')} ${count === 1 ? 'byte' : 'bytes'}`

/** bufferedAmount changes without an event, so it is looked at once per picture while the socket lives. */
function watch(ws) {
  show()
  if (ws.readyState !== WebSocket.CLOSED) requestAnimationFrame(() => watch(ws))
}

function pulse(direction) {
  const dot = document.createElement('i')
  dot.className = direction
  dot.addEventListener('animationend', () => dot.remove())
  byId('line').append(dot)
}

// --- the forms --------------------------------------------------------------------------------------------

/** Runs a form's action on submit; a thrown Wrong is shown beside its field. */
function onSubmit(id, action) {
  const form = byId(id)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    for (const field of form.querySelectorAll('input')) tellProblem(field, '')
    try {
      action()
    } catch (error) {
      if (!(error instanceof Wrong)) throw error
      tellProblem(error.field, error.message)
    }
  })
}

class Wrong extends Error {
  constructor(field, message) {
    super(message)
    this.field = field
  }
}

onSubmit('connect', () => {
  const field = byId('endpoint')
  if (!isGone()) throw new Wrong(field, 'There is a connection already. Close it first.')
  connect(parseEndpoint(field))
})

onSubmit('send', () => {
  const field = byId('number')
  const number = parseNumber(field)
  if (!isOpen()) throw new Wrong(field, 'Not connected. Press Connect first.')
  send(JSON.stringify({ Num: number }))
  field.select()
})

onSubmit('send-raw', () => {
  const field = byId('raw')
  if (!isOpen()) throw new Wrong(field, 'Not connected. Press Connect first.')
  send(field.value)
})

onSubmit('close', () => {
  const code = parseCode(byId('code'))
  const reason = parseReason(byId('reason'), code)
  if (isGone()) throw new Wrong(byId('code'), 'There is no connection to close.')
  write('closing', code === undefined ? 'without a code' : `${code}${reason === '' ? '' : ` “${reason}”`}`)
  if (code === undefined) socket.close()
  else socket.close(code, reason)
})

byId('clear').addEventListener('click', () => log.clear())

// --- what people type -------------------------------------------------------------------------------------

function parseEndpoint(field) {
  const text = field.value.trim()
  let url
  try {
    url = new URL(text)
  } catch {
    throw new Wrong(field, `An address such as ${ownEndpoint()} is needed.`)
  }
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new Wrong(field, `It must start with ws:// or wss://, not ${url.protocol}//.`)
  }
  if (url.protocol === 'ws:' && location.protocol === 'https:') {
    throw new Wrong(field, 'From an https page browsers allow wss:// only.')
  }
  url.hash = ''
  return url.href
}

function parseNumber(field) {
  const text = field.value.trim()
  if (text === '') throw new Wrong(field, 'Type a number.')
  if (/^[+-]?\d+,\d+$/.test(text))
    throw new Wrong(field, `Use a point for decimals: ${text.replace(',', '.')}`)
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text))
    throw new Wrong(field, `“${shorten(text)}” is not a number.`)
  const number = Number(text)
  if (!Number.isFinite(number)) throw new Wrong(field, 'That is more than a number can hold.')
  if (/^[+-]?\d+$/.test(text) && !Number.isSafeInteger(number)) {
    throw new Wrong(field, `Digits would get lost beyond ±${Number.MAX_SAFE_INTEGER}.`)
  }
  return number
}

const shorten = (text) => (text.length > 24 ? `${text.slice(0, 24)}…` : text)

function parseCode(field) {
  const text = field.value.trim()
  if (text === '') return undefined
  const code = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (code === 1000 || (code >= 3000 && code <= 4999)) return code
  throw new Wrong(field, 'A page may close with 1000 or with 3000 to 4999 (or with no code).')
}

function parseReason(field, code) {
  const length = utf8Length(field.value)
  if (length > 0 && code === undefined) throw new Wrong(field, 'A reason travels with a code only.')
  if (length > 123) throw new Wrong(field, `A reason holds 123 bytes at most; this one has ${length}.`)
  return field.value
}

// --- start ------------------------------------------------------------------------------------------------

function ownEndpoint() {
  const url = new URL('/ws', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

byId('endpoint').value = ownEndpoint()
show()
