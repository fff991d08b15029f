import { serve } from '../../../src/index.ts'
import { certificate, privateKey } from '../../support/certificate.ts'
import { close } from './close.ts'
import { events } from './events.ts'
import { messages } from './messages.ts'
import { protocols } from './protocols.ts'
import { send } from './send.ts'
import { see, type WebCase, type WebGroup } from './web-case.ts'

/** Of the other groups, what goes over the wire. A case without a server fails when it is played here. */
const overTheWire = [
  /^protocols\.(?!wrong)/,
  /^(?:handshake|messages)\./,
  /^binaryType\.(?:blob|arraybuffer|changes)$/,
  /^send\./,
  /^buffered\./,
  /^close\.(?:code|reason|server\.(?!reset$)|fault|return|twice|in-close|in-open|while-connecting|behind-messages|no-messages-behind|when-closed)/,
  /^events\.(?!error$)/,
]

const again = [protocols, messages, send, close, events]
  .flatMap(({ cases }) => cases)
  .filter(({ id }) => overTheWire.some((pattern) => pattern.test(id)))
  .map((subject): WebCase => ({ ...subject, id: `tls.${subject.id}`, about: `Over TLS: ${subject.about}` }))

const failed = ['error 3', 'close 3 1006  unclean']

const own: WebCase[] = [
  see(
    'tls.scheme',
    '`url` has wss:, also where https: was given, and so has the origin of a message.',
    ['wss:', 'wss:', 'x wss:'],
    async (stage) => {
      const { url } = await stage.echo()
      const { socket } = await stage.open(url)
      const other = await stage.open(url.replace('wss:', 'https:'))
      const told = stage.event(socket, 'message')
      socket.send('x')
      const { data, origin } = (await told) as MessageEvent
      return [
        new URL(socket.url).protocol,
        new URL(other.socket.url).protocol,
        `${data} ${origin === new URL(url).origin ? 'wss:' : origin}`,
      ]
    },
  ),
  see(
    'tls.untrusted',
    'A certificate that nobody trusts: the connection fails, and does not say why.',
    failed,
    async (stage) => {
      const server = stage.keep(await serve({ tls: { cert: certificate, key: privateKey } }, () => {}))
      const watched = stage.socket(server.url)
      await watched.closed
      return watched.log
    },
  ),
  see('tls.to-plain', 'wss: to a server that speaks no TLS fails.', failed, async (stage) => {
    const server = stage.keep(await serve({}, () => {}))
    const watched = stage.socket(server.url.replace('ws:', 'wss:'))
    await watched.closed
    return watched.log
  }),
  see('tls.from-plain', 'ws: to a server that speaks TLS fails.', failed, async (stage) => {
    const watched = stage.socket((await stage.echo()).url.replace('wss:', 'ws:'))
    await watched.closed
    return watched.log
  }),
]

export const tls: WebGroup = {
  name: 'tls',
  title: 'Over TLS',
  about:
    'What goes over the wire in the groups above, once more over TLS, with a certificate that the process trusts; and certificates and servers that are wrong.',
  cases: [...own, ...again],
  secure: true,
}
