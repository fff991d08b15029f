import { binary, type Case, close, closedByPeer, fill, type Group, passes, text } from '../case.ts'

/** The peer cuts what it sends; the endpoint has to put it together, and cuts its answer as `fragmentSize` says. */
const received = [
  [65_536, 1300],
  [65_536, 1],
  [65_536, 65_535],
  [100_000, 997],
  [262_144, 125],
].flatMap(([size = 0, piece = 1]): Case[] =>
  (['text', 'binary'] as const).map((kind) => {
    const payload = fill(kind === 'text' ? 'utf8' : 'noise', size, piece)
    return passes(
      `auto.received.${kind}.${size}-in-${piece}`,
      '10',
      `A ${kind} message of ${size} bytes that its sender cuts into frames of ${piece}.`,
      [(kind === 'text' ? text : binary)(payload, { pieces: piece })],
      [[kind, payload]],
    )
  }),
)

const sent = [
  [65_536, 1300],
  [65_536, 125],
  [1300, 1300],
  [1301, 1300],
  [1_048_576, 131_072],
].flatMap(([size = 0, fragmentSize = 1]): Case[] =>
  (['text', 'binary'] as const).map((kind) => {
    const payload = fill(kind === 'text' ? 'utf8' : 'noise', size, fragmentSize)
    return {
      id: `auto.sent.${kind}.${size}-in-${fragmentSize}`,
      about: `The endpoint sends a ${kind} message of ${size} bytes, and echoes it, in frames of at most ${fragmentSize}.`,
      autobahn: '10',
      limits: { fragmentSize },
      steps: [
        { endpoint: { send: kind, payload } },
        { peer: [(kind === 'text' ? text : binary)(payload), close(1000)], hears: [[kind, payload]] },
      ],
      end: closedByPeer,
    }
  }),
)

export const autoFragmentation: Group = {
  name: 'auto',
  title: 'Automatic fragmentation',
  about:
    'Messages that are cut into frames of a size by their sender: the peer, and over sockets the endpoint.',
  autobahn: '10',
  cases: [...received, ...sent],
}
