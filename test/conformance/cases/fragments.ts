import {
  begun,
  binary,
  type Case,
  close,
  fill,
  type Group,
  last,
  more,
  passes,
  ping,
  pong,
  refuses,
  text,
} from '../case.ts'

const unexpected = 'ERR_WS_UNEXPECTED_CONTINUATION'
const expected = 'ERR_WS_EXPECTED_CONTINUATION'

const whole: Case[] = [
  passes(
    'fragments.text.two',
    '5',
    'Text in two fragments.',
    [text('one ', begun), last('two')],
    [['text', 'one two']],
  ),
  passes(
    'fragments.binary.two',
    '5',
    'Binary in two fragments.',
    [binary(Uint8Array.of(0, 255), begun), last(Uint8Array.of(128))],
    [['binary', Uint8Array.of(0, 255, 128)]],
  ),
  passes(
    'fragments.text.five',
    '5',
    'Text in five fragments.',
    [text('1', begun), more('2'), more('3'), more('4'), last('5')],
    [['text', '12345']],
  ),
  passes(
    'fragments.all-empty',
    '5',
    'Three fragments without payload are an empty text.',
    [text('', begun), more(''), last('')],
    [['text', '']],
  ),
  passes(
    'fragments.all-empty-binary',
    '5',
    'Two fragments without payload are an empty binary message.',
    [binary('', begun), last('')],
    [['binary', '']],
  ),
  passes(
    'fragments.middle-only',
    '5',
    'Only the middle one of three fragments has payload.',
    [text('', begun), more('middle'), last('')],
    [['text', 'middle']],
  ),
  passes(
    'fragments.empty-end',
    '5',
    'The last fragment is empty.',
    [text('all of it', begun), last('')],
    [['text', 'all of it']],
  ),
  passes(
    'fragments.many-empty',
    '5',
    'A thousand empty fragments between two that are not.',
    [text('a', begun), ...Array.from({ length: 1000 }, () => more('')), last('b')],
    [['text', 'ab']],
  ),
  passes(
    'fragments.in-a-row',
    '5',
    'Fragmented and whole messages of both types in a row.',
    [text('a', begun), last('b'), text('c'), binary('d', begun), more('e'), last('f'), binary('g')],
    [
      ['text', 'ab'],
      ['text', 'c'],
      ['binary', 'def'],
      ['binary', 'g'],
    ],
  ),
  passes(
    'fragments.sizes',
    '5',
    'Fragments whose lengths take all three forms.',
    [
      binary(fill('zeros', 3, 1), begun),
      more(fill('zeros', 300, 1)),
      more(fill('zeros', 66_000, 1)),
      last(fill('zeros', 7, 1)),
    ],
    [['binary', fill('zeros', 66_310, 1)]],
  ),
]

const control: Case[] = [
  passes(
    'fragments.ping-between',
    '5',
    'A ping between two fragments is answered before the message is complete.',
    [text('one ', begun), ping('now'), last('two')],
    [
      ['ping', 'now'],
      ['text', 'one two'],
    ],
  ),
  passes(
    'fragments.pong-between',
    '5',
    'A pong between two fragments.',
    [binary('one ', begun), pong('now'), last('two')],
    [
      ['pong', 'now'],
      ['binary', 'one two'],
    ],
  ),
  passes(
    'fragments.pings-everywhere',
    '5',
    'Pings ahead of, between and behind the fragments.',
    [ping('0'), text('a', begun), ping('1'), more('b'), ping('2'), ping('3'), last('c'), ping('4')],
    [
      ['ping', '0'],
      ['ping', '1'],
      ['ping', '2'],
      ['ping', '3'],
      ['text', 'abc'],
      ['ping', '4'],
    ],
  ),
  passes(
    'fragments.ping-in-empty-message',
    '5',
    'A ping between empty fragments.',
    [text('', begun), ping('125'), more(''), ping(''), last('')],
    [
      ['ping', '125'],
      ['ping', ''],
      ['text', ''],
    ],
  ),
  {
    id: 'fragments.ping-answered-at-once',
    about: 'A ping between fragments is answered though the rest of the message has not been sent.',
    autobahn: '5',
    steps: [
      { peer: [text('one ', begun), ping('now')], hears: [['ping', 'now']] },
      { peer: [more('two '), ping('again')], hears: [['ping', 'again']] },
      { peer: [last('three'), close(1000)], hears: [['text', 'one two three']] },
    ],
    end: { kind: 'closed', by: 'peer', code: 1000, reason: '' },
  },
  {
    id: 'fragments.close-between',
    about: 'A Close frame between two fragments: the message is never delivered.',
    autobahn: '5',
    steps: [{ peer: [text('one ', begun), close(1001, 'away'), last('two')], hears: [] }],
    end: { kind: 'closed', by: 'peer', code: 1001, reason: 'away' },
  },
]

const orphans = (['final', 'not-final'] as const).flatMap((form): Case[] => {
  const make = form === 'final' ? last : more
  const at = (frame: number) => [unexpected, 1002, { frame, header: 1 }] as const
  return [
    refuses(
      `fragments.orphan.first.${form}`,
      '5',
      'A continuation as the first frame.',
      [make('x'), text('behind')],
      [],
      at(0),
    ),
    refuses(
      `fragments.orphan.empty.${form}`,
      '5',
      'A continuation without payload as the first frame.',
      [make('')],
      [],
      at(0),
    ),
    refuses(
      `fragments.orphan.behind-whole.${form}`,
      '5',
      'A continuation behind a message in one frame.',
      [text('before'), make('x'), text('behind')],
      [['text', 'before']],
      at(1),
    ),
    refuses(
      `fragments.orphan.behind-last.${form}`,
      '5',
      'A continuation behind the last fragment of a message.',
      [text('a', begun), last('b'), make('x'), last('c')],
      [['text', 'ab']],
      at(2),
    ),
    refuses(
      `fragments.orphan.behind-ping.${form}`,
      '5',
      'A continuation behind a ping: control frames begin no message.',
      [ping('p'), make('x')],
      [['ping', 'p']],
      at(1),
    ),
  ]
})

const nested = ([text, binary] as const).flatMap((make): Case[] => {
  const kind = make === text ? 'text' : 'binary'
  const at = (frame: number) => [expected, 1002, { frame, header: 1 }] as const
  return [
    refuses(
      `fragments.nested.${kind}`,
      '5',
      `A ${kind} message inside a fragmented one.`,
      [text('a', begun), make('b'), last('c')],
      [],
      at(1),
    ),
    refuses(
      `fragments.nested.${kind}.first-fragment`,
      '5',
      `A second ${kind} message begins in fragments before the first is complete.`,
      [text('a', begun), make('b', begun), last('c')],
      [],
      at(1),
    ),
    refuses(
      `fragments.nested.${kind}.late`,
      '5',
      `A ${kind} message between the second and the third fragment, behind a ping.`,
      [binary('a', begun), more('b'), ping('p'), make('c'), last('d')],
      [['ping', 'p']],
      at(3),
    ),
  ]
})

export const fragments: Group = {
  name: 'fragments',
  title: 'Fragmentation',
  about:
    'Messages in several frames, control frames between them, continuations of nothing and messages in messages.',
  autobahn: '5',
  cases: [...whole, ...control, ...orphans, ...nested],
}
