import { groups } from './catalogue.ts'
import { testGroups } from './quick.ts'

// What deflates, and the offers, which are many, have a file of their own.
testGroups(
  groups.filter(({ name }) => name !== 'compression' && name !== 'offers'),
  'engine',
)
