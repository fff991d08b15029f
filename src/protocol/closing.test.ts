import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ClosingEvent, type ClosingState, closedBy, closingTable, nextClosingState } from './closing.ts'

const states = Object.keys(closingTable) as ClosingState[]
const events: ClosingEvent[] = ['sendClose', 'receiveClose', 'fault', 'transportEnd']

function walk(...path: ClosingEvent[]): ClosingState {
  return path.reduce(nextClosingState, 'open')
}

describe('the closing handshake', () => {
  it('begun by us', () => assert.equal(walk('sendClose', 'receiveClose'), 'done'))
  it('begun by the peer', () => assert.equal(walk('receiveClose', 'sendClose'), 'done'))
  it('never answered', () => assert.equal(walk('sendClose', 'transportEnd'), 'lost'))
  it('never begun', () => assert.equal(walk('transportEnd'), 'lost'))
  it('cut off before our answer', () => assert.equal(walk('receiveClose', 'transportEnd'), 'lost'))
  it('replaced by a fault, before or after our Close frame', () => {
    assert.equal(walk('fault'), 'failed')
    assert.equal(walk('sendClose', 'fault'), 'failed')
  })

  it('has three ends, which nothing leaves', () => {
    const leavesNowhere = (state: ClosingState): boolean =>
      events.every((event) => nextClosingState(state, event) === state)
    assert.deepEqual(states.filter(leavesNowhere), ['done', 'failed', 'lost'])
  })

  it('never goes back: every path ends, and open is never reached again', () => {
    const visit = (state: ClosingState, steps: number): void => {
      assert.ok(steps <= 2, `${state} after ${steps} steps`)
      for (const next of Object.values(closingTable[state])) {
        assert.notEqual(next, 'open')
        visit(next, steps + 1)
      }
    }
    visit('open', 0)
  })

  it('what the state does not expect changes nothing', () => {
    assert.equal(nextClosingState('closeSent', 'sendClose'), 'closeSent')
    assert.equal(nextClosingState('closeReceived', 'receiveClose'), 'closeReceived')
    // Behind a Close frame nothing is read, so nothing can be wrong with it.
    assert.equal(nextClosingState('closeReceived', 'fault'), 'closeReceived')
  })

  it('is ended by whoever did the first step', () => {
    assert.deepEqual(closedBy, {
      sendClose: 'local',
      fault: 'local',
      receiveClose: 'remote',
      transportEnd: 'network',
    })
    assert.deepEqual(Object.keys(closedBy).sort(), Object.keys(closingTable.open).sort())
  })
})
