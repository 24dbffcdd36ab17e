import t from 'tap'
import { WarmFeed } from '../../lib/proxy/warm-progress.ts'

const started = (image: string) => ({ kind: 'started', image }) as const
const bytes = (doneBytes: number) => ({ kind: 'bytes', image: 'a', doneBytes, totalBytes: 9 }) as const

async function read(feed: WarmFeed): Promise<unknown[]> {
  const events: unknown[] = []
  for await (const event of feed) events.push(event)
  return events
}

t.test('WarmFeed throws what it ended with, behind what waits in it', async t => {
  const feed = new WarmFeed()
  await feed.add(started('a'))
  feed.end({ failure: new Error('enough') })
  const reader = feed[Symbol.asyncIterator]()

  t.same(await reader.next(), { value: started('a'), done: false })
  await t.rejects(reader.next(), { message: 'enough' })
})

t.test('WarmFeed.add() waits while its reader is far behind, until it is told to leave', async t => {
  const feed = new WarmFeed()
  for (let i = 0; i < 64; i++) await feed.add(started(`${i}`))
  const leaving = new AbortController()
  let isAdded = false
  const adding = feed.add(started('64')).then(() => (isAdded = true))
  const left = feed.add(started('65'), leaving)
  leaving.abort(new Error('enough'))

  await t.rejects(left, { message: 'enough' })
  t.notOk(isAdded)
  const reader = feed[Symbol.asyncIterator]()
  await reader.next()
  await reader.next()
  await adding

  t.ok(isAdded)
})

t.test('WarmFeed keeps of the bytes what was said last, and nothing once other news comes', async t => {
  const feed = new WarmFeed()
  feed.setBytes(bytes(1))
  await feed.add(started('a'))
  feed.setBytes(bytes(2))
  feed.setBytes(bytes(3))
  feed.end()

  t.same(await read(feed), [started('a'), bytes(3)])
})
