// A registry that mirrors is a registry: everything that holds of the local one holds of it.
import t from 'tap'
import { registrySuite } from '../registry/suite.ts'
import { startMirror } from '../support/mirror.ts'

registrySuite(t, { open: async t => (await startMirror(t)).registry })
