// The order of walks over more files than a page of the server's lists has, held against the driver in memory.
import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import type { StoragePath } from '../../../../lib/storage/driver/driver.ts'
import type { Bucket, Entry } from '../../../../lib/storage/driver/s3/bucket.ts'
import { createKeys } from '../../../../lib/storage/driver/s3/keys.ts'
import { walkBucket } from '../../../../lib/storage/driver/s3/walk.ts'
import { at } from '../suite.ts'

const names = [
  'a',
  'a-',
  'a-b',
  'a.b',
  'a.',
  'a0',
  'ab',
  'b',
  '-',
  '.c',
  'v1',
  'v1.2',
  'v1.2-x',
  'v1.2.3',
  '_',
  'Z',
]

/** Lists keys as S3 does: in the order of their bytes, `size` at a time. */
function bucketOf(keys: readonly string[], size: number): Pick<Bucket, 'pages'> {
  const sorted = keys.toSorted()
  const pages: Bucket['pages'] = async function* (prefix, options) {
    const startAfter = options?.startAfter ?? ''
    const found = sorted.filter(key => key.startsWith(prefix) && key > startAfter)
    for (let start = 0; start === 0 || start < found.length; start += size) {
      const entries: Entry[] = found
        .slice(start, start + size)
        .map(key => ({ key, size: 1, modifiedAtMs: 0 }))
      yield { entries, prefixes: [], isLast: start + size >= found.length }
    }
  }
  return { pages }
}

async function collect(files: AsyncIterable<{ readonly path: StoragePath }>): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { path } of files) found.push(path)
  return found
}

void t.test('walkBucket() goes by components, whatever the pages are', async t => {
  const paths: string[] = []
  // No path is that of a file and of a directory: what is in memory has no such thing.
  for (const [i, one] of names.entries()) {
    if (i % 3 === 0) paths.push(`/${one}`)
    else
      for (const two of names.slice(0, 9)) paths.push(i % 3 === 1 ? `/${one}/${two}` : `/${one}/${two}/x.y-z`)
  }
  const memory = new InMemoryDriver(systemClock)
  for (const path of paths) await memory.writeAll(at(path), Buffer.of(1))
  const keys = createKeys('root')
  const objects = [
    ...paths.map(path => `root${path}`),
    'root/',
    'root/a-b/',
    'root//x',
    'root/ab/c d',
    'rootless',
  ]

  for (const size of [1, 2, 3, 7, 1000]) {
    const bucket = bucketOf(objects, size)
    t.same(
      await collect(walkBucket(bucket, keys, at('/'), {})),
      await collect(memory.walk(at('/'))),
      `pages of ${size}`,
    )
    for (const after of [...paths, '/a-b', '/v1', '/a-b/zzz', '/0', '/zz', '/ab/a-b/x'].map(at)) {
      t.same(
        await collect(walkBucket(bucket, keys, at('/'), { after })),
        await collect(memory.walk(at('/'), { after })),
        `after ${after} in pages of ${size}`,
      )
    }
  }
})

void t.test('walkBucket() shows files that are being written once, and where they belong', async t => {
  const part = '~0000000000000000'
  const objects = [
    `x/data/${part}`,
    'x/data/~0000000000000001',
    'x/data/~committed',
    'x/data-1',
    'x/data.1',
    `y/${part}`,
    'y',
  ]
  const bucket = bucketOf(objects, 1)

  t.same(await collect(walkBucket(bucket, createKeys(''), at('/'), {})), [
    '/x/data',
    '/x/data-1',
    '/x/data.1',
    '/y',
  ])
  t.same(await collect(walkBucket(bucket, createKeys(''), at('/x'), { after: at('/x/data') })), [
    '/x/data-1',
    '/x/data.1',
  ])
  t.same(await collect(walkBucket(bucket, createKeys(''), at('/x/data'), {})), [])
})
