import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { exactly, readExactly } from '../../lib/streams/exactly.ts'
import { until } from '../support/until.ts'

function bodyOf(...chunks: readonly string[]): Readable {
  return Readable.from(
    chunks.map(chunk => Buffer.from(chunk)),
    { objectMode: false },
  )
}

t.test('exactly() errs when the body is shorter', async t => {
  await t.rejects(text(exactly(bodyOf('ab', 'c'), 4)), {
    message: /^Cannot deliver content: expected \d bytes, found \d$/,
  })
  await t.rejects(text(exactly(bodyOf(), 1)), {
    message: /^Cannot deliver content: expected \d bytes, found \d$/,
  })
})

t.test('exactly() errs before it passes on more than announced', async t => {
  const seen: string[] = []

  await t.rejects(
    async () => {
      for await (const chunk of exactly(bodyOf('ab', 'cd'), 3)) seen.push(String(chunk))
    },
    { message: /^Cannot deliver content: expected \d bytes, found \d$/ },
  )

  t.same(seen, ['ab'])
})

t.test('exactly() errs as its source does', async t => {
  const source = new Readable({
    read() {
      this.destroy(new Error('the disk is gone'))
    },
  })

  await t.rejects(text(exactly(source, 3)), { message: 'the disk is gone' })
})

t.test('exactly() destroys its source when it is destroyed', async t => {
  const source = new Readable({ read() {} })

  exactly(source, 3).destroy()

  await until(() => source.destroyed)
  t.ok(source.destroyed)
})

t.test('exactly() passes on what is as long as announced', async t => {
  t.equal(await text(exactly(bodyOf('ab', 'c'), 3)), 'abc')
  t.equal(await text(exactly(bodyOf(), 0)), '')
})

t.test('readExactly() rejects what is shorter or longer, and reads what is as long as announced', async t => {
  await t.rejects(readExactly(bodyOf('ab', 'c'), 4), {
    message: /^Cannot deliver content: expected \d bytes, found \d$/,
  })
  await t.rejects(readExactly(bodyOf('ab', 'c'), 2), {
    message: /^Cannot deliver content: expected \d bytes, found \d$/,
  })
  t.equal((await readExactly(bodyOf('ab', 'c'), 3)).toString(), 'abc')
  t.equal((await readExactly(bodyOf('ab'), 2)).toString(), 'ab')
  t.equal((await readExactly(bodyOf(), 0)).toString(), '')
})
