import { begun, binary, type Case, close, type Group, last, ping, pong, refuses, text } from '../case.ts'

const names = ['none', 'rsv3', 'rsv2', 'rsv2-rsv3', 'rsv1', 'rsv1-rsv3', 'rsv1-rsv2', 'all']

const frames = {
  text: (rsv: number) => text('reserved', { rsv }),
  binary: (rsv: number) => binary('reserved', { rsv }),
  empty: (rsv: number) => text('', { rsv }),
  ping: (rsv: number) => ping('reserved', { rsv }),
  pong: (rsv: number) => pong('reserved', { rsv }),
  close: (rsv: number) => close(1000, '', { rsv }),
}

const alone = Object.entries(frames).flatMap(([kind, make]) =>
  [1, 2, 3, 4, 5, 6, 7].map(
    (rsv): Case =>
      refuses(
        `reserved.${kind}.${names[rsv]}`,
        '3',
        `A ${kind === 'empty' ? 'text frame without payload' : `${kind} frame`} with reserved bits ${rsv.toString(2).padStart(3, '0')} behind a message, without an extension: its first byte is enough.`,
        [text('before'), make(rsv), text('behind')],
        [['text', 'before']],
        ['ERR_WS_RESERVED_BITS', 1002, { frame: 1, header: 1 }],
      ),
  ),
)

const within = [1, 2, 4].flatMap((rsv): Case[] => [
  refuses(
    `reserved.continuation.${names[rsv]}`,
    '3',
    'A reserved bit in the second fragment of a message.',
    [text('first', begun), last('second', { rsv })],
    [],
    ['ERR_WS_RESERVED_BITS', 1002, { frame: 1, header: 1 }],
  ),
  refuses(
    `reserved.ping-inside.${names[rsv]}`,
    '3',
    'A reserved bit in a ping between two fragments.',
    [text('first', begun), ping('', { rsv }), last('second')],
    [],
    ['ERR_WS_RESERVED_BITS', 1002, { frame: 1, header: 1 }],
  ),
])

export const reservedBits: Group = {
  name: 'reserved',
  title: 'Reserved bits',
  about:
    'Each of the three bits that belong to extensions, in each kind of frame, where no extension was agreed on.',
  autobahn: '3',
  cases: [...alone, ...within],
}
