import type { CompressionOptions } from '../../../src/protocol.ts'
import { type Case, fill, type Group, type Handshake, passes, refuses, text } from '../case.ts'
import { nameOfRow, type RowKind, row, rowSizes } from './rows.ts'

const NAME = 'permessage-deflate'
const bits = [8, 9, 10, 11, 12, 13, 14, 15] as const

/** An endpoint that agrees to whatever may be agreed to, and deflates all it can. */
const willing: CompressionOptions = { threshold: 0, sendTakeover: true, receiveTakeover: true }
const WILLING_OFFER = `${NAME}; client_max_window_bits`

/** Short and long ones, of which some repeat others from nearby and from far away. */
const conversation = [
  fill('json', 250, 1),
  fill('json', 250, 1),
  fill('json', 900, 2),
  fill('utf8', 3000, 3),
  fill('json', 900, 2),
  'short',
  fill('json', 40_000, 4),
  fill('json', 250, 1),
]

function talks(
  id: string,
  about: string,
  handshake: Handshake,
  options: Pick<Case, 'roles' | 'deflates'>,
): Case {
  const deflated = options.deflates !== false
  return passes(
    id,
    '13',
    about,
    conversation.map((payload) => text(payload, { deflated })),
    conversation.map((payload) => ['text', payload] as const),
    { handshake, ...options },
  )
}

function parametersOf(
  serverAlone: boolean,
  clientAlone: boolean,
  serverBits: number | undefined,
  clientBits: number | 'any' | undefined,
): string {
  return [
    NAME,
    ...(serverAlone ? ['server_no_context_takeover'] : []),
    ...(clientAlone ? ['client_no_context_takeover'] : []),
    ...(serverBits === undefined ? [] : [`server_max_window_bits=${serverBits}`]),
    ...(clientBits === undefined
      ? []
      : [clientBits === 'any' ? 'client_max_window_bits' : `client_max_window_bits=${clientBits}`]),
  ].join('; ')
}

const both = [false, true]

/** Every combination of the four parameters: what a client offers a server, and what a server answers a client. */
const combinations = both.flatMap((serverAlone) =>
  both.flatMap((clientAlone) =>
    [undefined, ...bits].flatMap((serverBits) =>
      [undefined, 'any' as const, ...bits].map((clientBits): Case => {
        const said = parametersOf(serverAlone, clientAlone, serverBits, clientBits)
        // A window of 15 bits is what there is without a word.
        const granted = typeof clientBits === 'number' && clientBits < 15 ? clientBits : undefined
        const answer = parametersOf(serverAlone, clientAlone, serverBits, granted)
        const name = [
          `server-${serverAlone ? 'alone' : 'takeover'}-${serverBits ?? 'any'}`,
          `client-${clientAlone ? 'alone' : 'takeover'}-${clientBits === 'any' ? 'open' : (clientBits ?? 'any')}`,
        ].join('.')
        return talks(
          `offers.${name}`,
          `\`${said.slice(NAME.length + 2) || 'no parameter'}\`: offered to a server${clientBits === 'any' ? '' : ', or answered to a client'}.`,
          {
            compression: willing,
            server: { offer: said, answer },
            client: { offer: WILLING_OFFER, answer: said },
          },
          // Without a value the parameter may stand in an offer alone.
          { deflates: true, ...(clientBits === 'any' ? { roles: ['server'] as const } : {}) },
        )
      }),
    ),
  ),
)

/** What a client may ask of its server, as the Autobahn suite does; a row of messages of every size for each. */
const asks: readonly (readonly [name: string, autobahn: string, offer: string, answer?: string])[] = [
  ['nothing', '13.1', NAME],
  ['alone', '13.2', `${NAME}; server_no_context_takeover`],
  ['window-9', '13.3', `${NAME}; server_max_window_bits=9`],
  ['window-15', '13.4', `${NAME}; server_max_window_bits=15`],
  ['alone-window-9', '13.5', `${NAME}; server_no_context_takeover; server_max_window_bits=9`],
  ['alone-window-15', '13.6', `${NAME}; server_no_context_takeover; server_max_window_bits=15`],
  [
    'three-offers',
    '13.7',
    `${NAME}; server_no_context_takeover; server_max_window_bits=9, ${NAME}; server_no_context_takeover, ${NAME}`,
    `${NAME}; server_no_context_takeover; server_max_window_bits=9`,
  ],
]

const json: RowKind = { kind: 'json', type: 'text', about: 'JSON' }

const rows = asks.flatMap(([name, autobahn, offer, answer = offer]) =>
  rowSizes.map((size) =>
    row(
      `offers.rows.${name}.${nameOfRow(size)}`,
      autobahn,
      json,
      size,
      2 * 1024 * 1024,
      answer === offer ? `by \`${offer}\`` : `by the first of \`${offer}\``,
      {
        compression: willing,
        server: { offer, answer },
        client: { offer: WILLING_OFFER, answer },
      },
      // A client of ours makes one offer.
      {
        ...(size[0] < 256 ? {} : { deflates: true }),
        ...(answer === offer ? {} : { roles: ['server'] as const }),
      },
    ),
  ),
)

/** What the endpoint asks for by its own options. */
const asked = bits.flatMap((window): Case[] => {
  const send = window < 15 ? `=${window}` : ''
  const limits = window < 15 ? `; server_max_window_bits=${window}` : ''
  return [
    talks(
      `offers.asked.windows-${window}`,
      `An endpoint that wants windows of ${window} bits both ways.`,
      {
        compression: { ...willing, sendWindowBits: window, receiveWindowBits: window },
        server: {
          offer: WILLING_OFFER,
          answer: window < 15 ? `${NAME}${limits}; client_max_window_bits=${window}` : NAME,
        },
        client: {
          offer: `${NAME}${limits}; client_max_window_bits${send}`,
          answer: window < 15 ? `${NAME}${limits}; client_max_window_bits=${window}` : NAME,
        },
      },
      { deflates: true },
    ),
    talks(
      `offers.asked.alone-${window}`,
      `The same, and no context taken over.`,
      {
        compression: { threshold: 0, sendWindowBits: window, receiveWindowBits: window },
        server: {
          offer: WILLING_OFFER,
          answer: `${NAME}; server_no_context_takeover; client_no_context_takeover${limits}${window < 15 ? `; client_max_window_bits=${window}` : ''}`,
        },
        client: {
          offer: `${NAME}; server_no_context_takeover; client_no_context_takeover${limits}; client_max_window_bits${send}`,
          answer: `${NAME}; server_no_context_takeover${limits}`,
        },
      },
      { deflates: true },
    ),
  ]
})

const server = (
  id: string,
  about: string,
  offer: string,
  answer: string,
  compression: Handshake['compression'] = willing,
): Case =>
  talks(
    `offers.server.${id}`,
    about,
    { compression, server: { offer, answer } },
    { roles: ['server'], deflates: answer !== '' },
  )

const declined: Case[] = [
  server('none', 'No offer, no compression.', '', ''),
  server('not-wanted', 'An offer to a server that does not compress.', NAME, '', false),
  server('other-extension', 'An offer of an extension that nobody knows.', 'x-unknown; a=1', ''),
  server(
    'beside-other',
    'An offer beside one of an extension that nobody knows.',
    `x-unknown, ${NAME}`,
    NAME,
  ),
  server('unknown-parameter', 'An offer with a parameter that does not exist.', `${NAME}; window=9`, ''),
  server('flag-with-value', 'A flag that has a value.', `${NAME}; server_no_context_takeover=1`, ''),
  server(
    'server-bits-without-value',
    'A window of the server without its size.',
    `${NAME}; server_max_window_bits`,
    '',
  ),
  ...['7', '16', '0', '08', '9.5', '-9', 'ten', '1e1'].map((value) =>
    server(
      `server-bits-${value}`,
      `A window of the server of ${value} bits.`,
      `${NAME}; server_max_window_bits=${value}`,
      '',
    ),
  ),
  ...['7', '16', '08'].map((value) =>
    server(
      `client-bits-${value}`,
      `A window of the client of ${value} bits.`,
      `${NAME}; client_max_window_bits=${value}`,
      '',
    ),
  ),
  server(
    'twice-the-same',
    'The same parameter twice.',
    `${NAME}; server_max_window_bits=10; server_max_window_bits=10`,
    '',
  ),
  server(
    'quoted',
    'A value in quotes means the same.',
    `${NAME}; server_max_window_bits="10"`,
    `${NAME}; server_max_window_bits=10`,
  ),
  server(
    'second-choice',
    'The first offer is wrong, the second is taken.',
    `${NAME}; window=9, ${NAME}; server_max_window_bits=12`,
    `${NAME}; server_max_window_bits=12`,
  ),
  server(
    'first-choice',
    'Of two offers that are right, the first is taken.',
    `${NAME}; server_max_window_bits=9, ${NAME}`,
    `${NAME}; server_max_window_bits=9`,
  ),
]

const malformed = [`${NAME}; =1`, `${NAME};`, `${NAME}; a b`, '; a', `${NAME}; a="`].map(
  (offer, i): Case => ({
    id: `offers.server.malformed-${i + 1}`,
    about: `A header that is malformed: \`${offer}\`.`,
    autobahn: '13',
    roles: ['server'],
    handshake: { compression: willing, server: { offer, answer: '' } },
    steps: [],
    end: { kind: 'no connection', status: 400 },
  }),
)

function client(
  id: string,
  about: string,
  answer: string,
  compression: Handshake['compression'] = willing,
): Case {
  const offer =
    compression === false
      ? ''
      : compression === true
        ? `${NAME}; server_no_context_takeover; client_no_context_takeover; client_max_window_bits`
        : WILLING_OFFER
  return {
    id: `offers.client.${id}`,
    about,
    autobahn: '13',
    roles: ['client'],
    handshake: { compression, client: { offer, answer } },
    steps: [],
    end: { kind: 'no connection', error: 'ERR_WS_EXTENSION' },
  }
}

const refused: Case[] = [
  client('not-offered', 'Compression in the answer to a client that did not offer it.', NAME, false),
  client('other-extension', 'An extension that the client did not offer.', 'x-unknown'),
  client('unknown-parameter', 'A parameter that does not exist.', `${NAME}; window=9`),
  client('flag-with-value', 'A flag that has a value.', `${NAME}; client_no_context_takeover=true`),
  client(
    'client-bits-without-value',
    'A window of the client without its size, which only an offer may have.',
    `${NAME}; client_max_window_bits`,
  ),
  client(
    'server-bits-without-value',
    'A window of the server without its size.',
    `${NAME}; server_max_window_bits`,
  ),
  ...['7', '16', '08', 'x'].flatMap((value) => [
    client(
      `server-bits-${value}`,
      `A window of the server of ${value} bits.`,
      `${NAME}; server_max_window_bits=${value}`,
    ),
    client(
      `client-bits-${value}`,
      `A window of the client of ${value} bits.`,
      `${NAME}; client_max_window_bits=${value}`,
    ),
  ]),
  client(
    'twice-the-same',
    'The same parameter twice.',
    `${NAME}; server_no_context_takeover; server_no_context_takeover`,
  ),
  client('twice', 'The extension twice.', `${NAME}, ${NAME}`),
  client(
    'takeover-unasked',
    'An answer that does not agree to what the client made a condition.',
    NAME,
    true,
  ),
  {
    ...client('malformed', 'A header that is malformed.', `${NAME}; =1`),
    end: { kind: 'no connection', error: 'ERR_WS_HEADER_SYNTAX' },
  },
]

/** A client that wants small windows, and answers that go beyond them, or stay below. */
const small = { ...willing, sendWindowBits: 10, receiveWindowBits: 10 }
const SMALL_OFFER = `${NAME}; server_max_window_bits=10; client_max_window_bits=10`

const bounds: Case[] = [
  ...(
    [
      ['server-window-unsaid', 'does not speak of the window of the server', 'client_max_window_bits=10'],
      [
        'server-window-larger',
        'has a larger window of the server',
        'server_max_window_bits=11; client_max_window_bits=10',
      ],
      [
        'client-window-larger',
        'has a larger window of the client',
        'server_max_window_bits=10; client_max_window_bits=11',
      ],
    ] as const
  ).map(([id, about, parameters]): Case => {
    const wrong = client(
      id,
      `An answer to an offer of windows of 10 bits that ${about}.`,
      `${NAME}; ${parameters}`,
    )
    return {
      ...wrong,
      handshake: { compression: small, client: { offer: SMALL_OFFER, answer: `${NAME}; ${parameters}` } },
    }
  }),
  talks(
    'offers.client.windows-smaller',
    'An answer to the same offer with smaller windows still.',
    {
      compression: small,
      client: { offer: SMALL_OFFER, answer: `${NAME}; server_max_window_bits=9; client_max_window_bits=9` },
    },
    { roles: ['client'], deflates: true },
  ),
  talks(
    'offers.client.windows-unsaid-for-the-client',
    'An answer to the same offer that says nothing of the window of the client is taken.',
    {
      compression: small,
      client: { offer: SMALL_OFFER, answer: `${NAME}; server_max_window_bits=10` },
    },
    { roles: ['client'], deflates: true },
  ),
]

const without: Case[] = [
  talks(
    'offers.client.declined',
    'A server that says nothing of compression: the client goes on without.',
    { compression: willing, client: { offer: WILLING_OFFER, answer: '' } },
    { roles: ['client'], deflates: false },
  ),
  refuses(
    'offers.declined-then-used',
    '13',
    'RSV1 though compression was not agreed on.',
    [text('before'), text('x', { rsv: 4 })],
    [['text', 'before']],
    ['ERR_WS_RESERVED_BITS', 1002, { frame: 1, header: 1 }],
    {
      handshake: {
        compression: willing,
        server: { offer: '', answer: '' },
        client: { offer: WILLING_OFFER, answer: '' },
      },
    },
  ),
]

export const offers: Group = {
  name: 'offers',
  title: 'Parameters of compression',
  about:
    'All combinations of the four parameters of permessage-deflate, in offers to a server and in answers to a client, each with a conversation that is checked against the windows that were agreed on; and all that has to be declined or refused. Seven offers of a client are played with rows of a thousand messages of every size, or of as many as make 2 MiB.',
  autobahn: '13',
  cases: [...combinations, ...rows, ...asked, ...declined, ...malformed, ...refused, ...bounds, ...without],
}
