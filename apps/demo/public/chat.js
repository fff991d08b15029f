// The page of the chat: what one says, everyone hears. Messages are plain text in both directions.

import { byId, closeMeaning, StickyLog, tellProblem, timestamp, utf8Length } from './page.js'

/** The server's limit for one message, in bytes. */
const maxMessageSize = 4096

const log = new StickyLog(1000)
const status = byId('status')
const latest = byId('latest')
const field = byId('text')

/** What we said and have not heard yet: the server repeats it to us too, in the order we said it. */
let said = []
/** @type {WebSocket} */
let socket

function connect() {
  const url = new URL('/chat', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  said = []
  socket = new WebSocket(url.href)
  showStatus('connecting', 'Connecting…')
  socket.addEventListener('open', () => showStatus('open', 'Connected'))
  socket.addEventListener('message', ({ data }) => hear(data))
  socket.addEventListener('close', ({ code, reason }) =>
    showStatus('closed', `Disconnected: ${code}, ${reason || closeMeaning(code)}`),
  )
}

function hear(text) {
  const mine = said[0] === text
  if (mine) said.shift()
  const entry = document.createElement('li')
  entry.className = mine ? 'said mine' : 'said'
  const body = document.createElement('p')
  body.textContent = text // never as HTML: the text is a stranger's
  entry.append(body, timestamp())
  if (!log.append(entry)) latest.hidden = false
}

function showStatus(state, text) {
  status.dataset.state = state
  status.textContent = text
  byId('reconnect').hidden = state !== 'closed'
}

byId('say').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = field.value.trim()
  const size = utf8Length(text)
  if (size > maxMessageSize) {
    tellProblem(field, `A message holds ${maxMessageSize} bytes at most; this one has ${size}.`)
  } else if (socket.readyState !== WebSocket.OPEN) {
    tellProblem(field, 'Not connected. What you wrote stays here.')
  } else {
    tellProblem(field, '')
    if (text === '') return
    said.push(text)
    socket.send(text)
    field.value = ''
    log.toBottom()
  }
})

byId('reconnect').addEventListener('click', () => {
  field.focus()
  connect()
})

latest.addEventListener('click', () => {
  log.toBottom()
  field.focus()
})
log.scroller.addEventListener('scroll', () => {
  if (log.atBottom) latest.hidden = true
})

connect()
