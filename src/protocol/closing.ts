/**
 * How far a connection is on its way to the end (RFC 6455 sections 5.5.1 and 7.1).
 *
 * - `open`: neither side has sent a Close frame
 * - `closeSent`: ours is out, theirs has not come
 * - `closeReceived`: theirs has come, ours is not out yet
 * - `done`: both, the closing handshake is complete
 * - `failed`: the peer broke the rules; our Close frame said why and nothing more is read
 * - `lost`: the transport ended before the handshake was complete
 */
export type ClosingState = 'open' | 'closeSent' | 'closeReceived' | 'done' | 'failed' | 'lost'

/** What can bring a connection nearer to its end. */
export type ClosingEvent = 'sendClose' | 'receiveClose' | 'fault' | 'transportEnd'

/** Who ended a connection. */
export type ClosedBy = 'local' | 'remote' | 'network'

/**
 * The closing handshake as data: state and event give the next state; what is not listed changes nothing.
 * All of the closing logic asks this table, and the diagram in the documentation is drawn from it.
 */
export const closingTable: {
  readonly [State in ClosingState]: { readonly [Event in ClosingEvent]?: ClosingState }
} = {
  open: { sendClose: 'closeSent', receiveClose: 'closeReceived', fault: 'failed', transportEnd: 'lost' },
  closeSent: { receiveClose: 'done', fault: 'failed', transportEnd: 'lost' },
  closeReceived: { sendClose: 'done', transportEnd: 'lost' },
  done: {},
  failed: {},
  lost: {},
}

/** Who ended the connection, told by the event that left `open`. */
export const closedBy: { readonly [Event in ClosingEvent]: ClosedBy } = {
  sendClose: 'local',
  fault: 'local',
  receiveClose: 'remote',
  transportEnd: 'network',
}

/** The state after an event. */
export function nextClosingState(state: ClosingState, event: ClosingEvent): ClosingState {
  return closingTable[state][event] ?? state
}
