import { after } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { groups } from './catalogue.ts'
import { testGroups } from './quick.ts'

after(() => assertNoLeaks())

testGroups(
  groups.filter(({ name }) => name === 'compression' || name === 'offers'),
  'sockets',
)
