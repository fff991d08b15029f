import { begun, type Case, type FramePart, type Group, last, refuses, text } from '../case.ts'

const data = [3, 4, 5, 6, 7]
const control = [11, 12, 13, 14, 15]

const cases = [...data, ...control].flatMap((opcode): Case[] => {
  const part = (payload: string): FramePart => ({ opcode, payload })
  const code = 'ERR_WS_RESERVED_OPCODE'
  const group = data.includes(opcode) ? '4.1' : '4.2'
  return [
    refuses(
      `opcodes.${opcode}.first`,
      group,
      `A first frame of opcode ${opcode}, without payload.`,
      [part('')],
      [],
      [code, 1002, { frame: 0, header: 1 }],
    ),
    refuses(
      `opcodes.${opcode}.payload`,
      group,
      `A first frame of opcode ${opcode}, with payload.`,
      [part('reserved'), text('behind')],
      [],
      [code, 1002, { frame: 0, header: 1 }],
    ),
    refuses(
      `opcodes.${opcode}.behind-message`,
      group,
      `A frame of opcode ${opcode} behind a message, which is still delivered, and ahead of one, which is not.`,
      [text('before'), part(''), text('behind')],
      [['text', 'before']],
      [code, 1002, { frame: 1, header: 1 }],
    ),
    refuses(
      `opcodes.${opcode}.inside-message`,
      group,
      `A frame of opcode ${opcode} between two fragments.`,
      [text('first', begun), part('reserved'), last('second')],
      [],
      [code, 1002, { frame: 1, header: 1 }],
    ),
    refuses(
      `opcodes.${opcode}.not-final`,
      group,
      `A frame of opcode ${opcode} that is not final.`,
      [{ opcode, fin: false, payload: 'a' }, last('b')],
      [],
      [code, 1002, { frame: 0, header: 1 }],
    ),
  ]
})

export const opcodes: Group = {
  name: 'opcodes',
  title: 'Opcodes',
  about: 'Every opcode that RFC 6455 leaves undefined, as the first frame, between messages, and inside one.',
  autobahn: '4',
  cases,
}
