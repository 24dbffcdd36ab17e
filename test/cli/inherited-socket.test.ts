import t from 'tap'
import { inheritedSocket } from '../../lib/cli/inherited-socket.ts'

t.test('inheritedSocket() is the only one that is handed to this process', async t => {
  t.equal(inheritedSocket({}, 7), undefined)
  t.equal(inheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '7' }, 7), 3)
  t.equal(inheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '8' }, 7), undefined)
  t.equal(inheritedSocket({ LISTEN_FDS: '1' }, 7), undefined)
  t.equal(inheritedSocket({ LISTEN_FDS: '0', LISTEN_PID: '7' }, 7), undefined)
})

t.test('inheritedSocket() refuses more than one', async t => {
  t.throws(() => inheritedSocket({ LISTEN_FDS: '2', LISTEN_PID: '7' }, 7), { message: /2 sockets, not one/ })
})
