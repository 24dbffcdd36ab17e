import fc from 'fast-check'
import t from 'tap'
import {
  childPath,
  isBefore,
  isBelow,
  isComponent,
  isFilePath,
  parseStoragePath,
} from '../../../lib/storage/driver/path.ts'
import { at } from './suite.ts'

void t.test('parseStoragePath() rejects what is no path, with a short message', async t => {
  for (const text of [
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/.',
    '/a/..',
    '/../a',
    '/a b',
    '/a\n',
    `/${'é'.repeat(100_000)}`,
  ]) {
    t.throws(() => parseStoragePath(text), { name: 'InvalidPathError' }, text.slice(0, 20))
  }
  try {
    parseStoragePath(`/${'é'.repeat(100_000)}`)
  } catch (err) {
    t.ok(err instanceof Error && err.message.length < 400)
  }
})

void t.test('parseStoragePath() returns a path unchanged', async t => {
  for (const text of ['/', '/a', '/a/b', '/...', '/.a', '/a..b', '/_layers/sha256/0a', '/A-z.9']) {
    t.equal(parseStoragePath(text), text)
    t.equal(isFilePath(text), text !== '/')
  }
})

void t.test('parseStoragePath() accepts components and nothing else', async t => {
  const letters = fc.string({ unit: fc.constantFrom(...'aZ0._-/ \n\0é'), maxLength: 12 })
  fc.assert(
    fc.property(letters, text => {
      const [first, ...names] = text.split('/')
      return isFilePath(text) === (first === '' && names.length > 0 && names.every(isComponent))
    }),
  )
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a\n', 'lost+found'])
    t.equal(isComponent(name), false, name)
})

void t.test('childPath() joins names to a directory, be it /', async t => {
  t.equal(childPath(at('/'), 'a'), '/a')
  t.equal(childPath(at('/a'), 'b', 'c'), '/a/b/c')
})

void t.test('isBefore() orders by components', async t => {
  const ordered = ['/', '/a', '/a/b', '/a/b/c', '/a-b', '/a.b', '/a0', '/aa', '/b'].map(at)
  for (const [i, path] of ordered.entries()) {
    for (const [j, other] of ordered.entries()) t.equal(isBefore(path, other), i < j, `${path} ${other}`)
  }
})

void t.test('isBelow() is not taken in by a common prefix', async t => {
  t.equal(isBelow(at('/a/b'), at('/a')), true)
  t.equal(isBelow(at('/a/b/c'), at('/')), true)
  t.equal(isBelow(at('/a-b'), at('/a')), false)
  t.equal(isBelow(at('/a'), at('/a')), false)
})
