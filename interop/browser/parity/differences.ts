/** What is known to differ in one browser, and why: outcomes by scenario and name; of a whole scenario that cannot run, the reason. */
interface Known {
  readonly skipped: Readonly<Record<string, string>>
  readonly different: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const reserved = 'RFC 6455 section 7.4.2 reserves this code; here it fails the connection'
const lost = 'RFC 6455 section 7.2.1: a lost connection has failed, so that there is an error event'
const untrusted = 'only the runtime itself can make trusted events'
const surrogate = 'reason is a USVString'
const currentTarget = 'Node 20 tells only the first listener of an event its currentTarget'

/** By the name of the browser. Each of these is looked for: what does not differ any more has to go. */
export const differences: Readonly<Record<string, Known>> = {
  Chromium: {
    skipped: {
      'a reason without a code': 'Chromium sends no Close frame for it, and never closes',
    },
    different: {
      'URLs and subprotocols': { 'url ws://a b/': 'the URL Standard allows no space in a host' },
      CloseEvent: { 'a lone surrogate': surrogate },
      attributes: { 'returned false': currentTarget },
      'the page closes': {
        '2999.7': 'Chromium truncates where [Clamp] rounds to the nearest',
        '2999.7: frames': 'as above',
        '3001.5': 'Chromium truncates where [Clamp] rounds to the nearest, even one',
        '3001.5: frames': 'as above',
      },
      'the server closes': {
        'with 999': reserved,
        'with 2000': reserved,
        'with 5000': reserved,
        'and goes on': 'what stands behind a Close frame is not read (RFC 6455 section 1.4)',
      },
      'the server breaks a rule': {
        'a ping in fragments': 'messages that came before are delivered',
        'a long ping': 'messages that came before are delivered',
      },
      'the connection is lost': { 'by FIN': lost, 'by RST': lost, 'in a message': lost },
      events: { events: untrusted },
      'the streams of a stream are closed': { 'close, lost': 'the code is that of `closed` here, not null' },
    },
  },
  Firefox: {
    skipped: {},
    different: {
      'URLs and subprotocols': {
        'protocols null for an iterator':
          'GetMethod takes null for undefined: the object is not iterable, and text',
      },
      CloseEvent: { 'a lone surrogate': surrogate },
      attributes: { 'returned false': currentTarget },
      'a reason without a code': {
        frame: 'the standard has 1000 beside a reason; Firefox drops the reason',
        'frame: frames': 'as above',
      },
      'the server closes': {
        'with 1005': 'RFC 6455 section 7.4.1: this code must not be sent',
        'with 1006': 'RFC 6455 section 7.4.1: this code must not be sent',
        'with 1015': 'RFC 6455 section 7.4.1: this code must not be sent',
        'with 999': reserved,
        'with 2000': reserved,
        'with 5000': reserved,
        'with half a code': 'RFC 6455 section 5.5.1: a body has two bytes at least',
      },
      'the server breaks a rule': { 'a mask': 'RFC 6455 section 5.1: a client must not take masked frames' },
      'the connection is lost': { 'by FIN': lost, 'in a message': lost },
      'the handshake': {
        'a subprotocol nobody wants': 'RFC 6455 section 4.1: it fails the connection',
        'a subprotocol nobody wants: frames': 'as above',
        'an empty subprotocol nobody wants': 'as above',
        'an empty subprotocol nobody wants: frames': 'as above',
        'no subprotocol': 'the standard wants one of those offered to be chosen',
        'no subprotocol: frames': 'as above',
        'an empty extension': 'RFC 6455 section 9.1: the header has one extension at least',
        'an empty extension: frames': 'as above',
      },
      'the request': { extensions: 'Firefox does not offer to have its window set' },
      events: { events: untrusted },
    },
  },
}
