import { groups } from './catalogue.ts'
import { testGroups } from './quick.ts'

testGroups(
  groups.filter(({ name }) => name === 'compression' || name === 'offers'),
  'engine',
)
