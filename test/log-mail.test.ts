import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createMailHook, type MailHookOptions } from '../lib/log-mail.ts'
import { ManualClock } from './support/manual-clock.ts'
import { until } from './support/until.ts'

/** As much of SMTP as a client needs to hand over mails. */
async function startSmtp(t: Test) {
  const mails: string[] = []
  const commands: string[] = []
  const server = createServer(socket => {
    let text = ''
    let isData = false
    socket.on('error', () => {})
    socket.write('220 test\r\n')
    socket.on('data', chunk => {
      text += chunk.toString()
      for (;;) {
        const end = text.indexOf(isData ? '\r\n.\r\n' : '\r\n')
        if (end === -1) return
        const said = text.slice(0, end)
        text = text.slice(end + (isData ? 5 : 2))
        if (isData) mails.push(said)
        else commands.push(said)
        socket.write(isData ? '250 kept\r\n' : answerTo(said))
        isData = !isData && said === 'DATA'
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return { addr: `127.0.0.1:${(server.address() as AddressInfo).port}`, mails, commands, server }
}

function answerTo(command: string): string {
  if (command.startsWith('EHLO')) return '250-test\r\n250 AUTH PLAIN LOGIN\r\n'
  if (command.startsWith('AUTH')) return '235 welcome\r\n'
  if (command === 'DATA') return '354 go on\r\n'
  return command === 'QUIT' ? '221 bye\r\n' : '250 fine\r\n'
}

function startHook(addr: string, smtp: Partial<MailHookOptions['smtp']> = {}) {
  const clock = new ManualClock()
  const failures: unknown[] = []
  const hook = createMailHook(
    {
      levels: ['error', 'warn'],
      smtp: { addr, username: '', password: '', insecure: false, ...smtp },
      from: 'registry@example.com',
      to: ['one@example.com', 'two@example.com'],
    },
    { clock, onFailure: err => failures.push(err) },
  )
  return { hook, clock, failures }
}

t.test('createMailHook() mails a line to everybody, with PLAIN authentication', async t => {
  const { addr, mails, commands } = await startSmtp(t)
  const { hook } = startHook(addr, { username: 'user', password: 'pass' })

  hook.take('error', 'the disk\r\nBcc: evil@example.com', 'level=error msg="the disk"\n')
  await until(() => mails.length === 1)

  t.ok(commands.includes(`AUTH PLAIN ${Buffer.from('\0user\0pass').toString('base64')}`))
  t.same(
    commands.filter(line => line.startsWith('RCPT')),
    ['RCPT TO:<one@example.com>', 'RCPT TO:<two@example.com>'],
  )
  t.match(mails[0], /^From: registry@example\.com\r$/m)
  t.match(mails[0]?.replace(/\r\n /g, ' '), /^Subject: \[error\] \S+: the disk Bcc: evil@example\.com\r$/m)
  t.match(mails[0], /level=error msg=/)
  t.ok(hook.levels.has('warning'))
})

t.test('createMailHook() sends one mail a second, and counts what cannot wait', async t => {
  const { addr, mails } = await startSmtp(t)
  const { hook, clock } = startHook(addr)

  for (let i = 0; i < 120; i++) hook.take('error', `line ${i}`, `line ${i}\n`)
  await until(() => mails.length === 1 && clock.sleeping === 1)
  clock.advance(999)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(mails.length, 1)
  clock.advance(1)
  await until(() => mails.length === 2)
  t.match(mails[1], /19 more lines came too fast to be mailed/)

  await hook.close(60_000)
  t.equal(mails.length, 101, 'what waits is sent at the end, without pauses')
  hook.take('error', 'late', 'late\n')
  await new Promise(resolve => setImmediate(resolve))
  t.equal(mails.length, 101)
})

t.test('createMailHook() tells of a server that does not answer once, and gives up at the end', async t => {
  const { addr, server } = await startSmtp(t)
  server.close()
  await once(server, 'close')
  const { hook, clock, failures } = startHook(addr)

  hook.take('error', 'one', 'one\n')
  hook.take('error', 'two', 'two\n')
  await until(() => clock.sleeping === 1)
  clock.advance(1000)
  await until(() => clock.sleeping === 1)

  t.equal(failures.length, 1)
  t.match(failures[0], { message: /ECONNREFUSED/ })
  await hook.close(1000)
})

t.test('createMailHook() does not wait at the end for a server that hangs', async t => {
  const server = createServer(socket => void socket.on('error', () => {}))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { hook, clock } = startHook(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [[socket]] = await Promise.all([
    once(server, 'connection') as Promise<[Socket]>,
    Promise.resolve(hook.take('error', 'one', 'one\n')),
  ])
  t.teardown(() => socket.destroy())

  const closed = hook.close(5000)
  await until(() => clock.sleeping > 0)
  clock.advance(5000)

  await t.resolves(closed)
})
