import t from 'tap'
import { createWarmDisplay } from '../../lib/cli/progress.ts'
import { digestFor } from '../support/cache-admin.ts'

const image = 'nginx:1'
const digest = digestFor('nginx')
const resolved = {
  kind: 'resolved',
  image,
  digest,
  missing: ['linux/386'],
  manifests: 2,
  blobs: 2,
  totalBytes: 7e7,
} as const

function onTerminal(columns: number) {
  let written = ''
  const display = createWarmDisplay({ isTTY: true, columns, write: text => (written += text) })
  return { display, lines: () => written.split('\r\u001b[K').slice(1) }
}

t.test('createWarmDisplay() writes one line over and over on a terminal', async t => {
  const { display, lines } = onTerminal(80)

  display.show({ kind: 'started', image })
  display.show({ ...resolved, stale: 'upstream down' })
  display.show({ kind: 'blob', image, digest, sizeBytes: 2e7, outcome: 'present' })
  display.show({ kind: 'bytes', image, doneBytes: 3.5e7, totalBytes: 7e7 })
  display.show({ kind: 'done', image, digest, fetchedBytes: 5e7, presentBytes: 2e7, elapsedMs: 3200 })
  display.end()

  t.same(lines(), [
    'nginx:1: finding out what belongs to it',
    'nginx:1: 0 of 2 blobs, 70 MB',
    'nginx:1: 1 of 2 blobs',
    'nginx:1: 1 of 2 blobs, 35 MB of 70 MB',
    'nginx:1: fetched 50 MB, had 20 MB, took 3s, has no linux/386, stale: upstream down\n',
  ])
})

t.test('createWarmDisplay() cuts lines to the terminal, and leaves the last one at the end', async t => {
  const { display, lines } = onTerminal(12)

  display.show({ kind: 'started', image })
  display.end()

  t.same(lines(), ['nginx:1: fi\n'])
})

t.test('createWarmDisplay() tells elsewhere what is worth a line', async t => {
  let written = ''
  const display = createWarmDisplay({ write: text => (written += text) })

  display.show({ kind: 'started', image })
  display.show(resolved)
  display.show({ kind: 'bytes', image, doneBytes: 3.5e7, totalBytes: 7e7 })
  display.show({ kind: 'failed', image, message: 'gone\n\u0007' })
  display.end()

  t.equal(written, `nginx:1: ${digest}, 2 blobs, 70 MB, has no linux/386\nnginx:1: failed: gone??\n`)
})
