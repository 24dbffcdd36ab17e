import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import { RecordedIo } from '../support/recorded-io.ts'

type Files = Readonly<Record<string, string | Buffer | { readonly link: string }>>

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'

function setUp(t: Test) {
  const root = t.testdir({})
  const config = path.join(root, 'config.yml')
  fs.writeFileSync(config, `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}/store"}}}`)
  return {
    root,
    config,
    async run(...argv: readonly string[]) {
      const chunks: Buffer[] = []
      const binaryOut = new Writable({
        write(chunk: Buffer, _, done) {
          chunks.push(chunk)
          done()
        },
      })
      const io = Object.assign(new RecordedIo({ env: { REGISTRY_CONFIGURATION_PATH: config } }), {
        binaryOut,
      })
      const exitCode = await main(argv, io)
      return { exitCode, ...io.written, bytes: Buffer.concat(chunks) }
    },
  }
}

async function tarOf(files: Files): Promise<Buffer> {
  const tar = pack()
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === 'object' && 'link' in content)
      tar.entry({ name, type: 'symlink', linkname: content.link })
    else tar.entry({ name }, content)
  }
  tar.finalize()
  return await buffer(tar)
}

/** An OCI layout with one image, or with an index of which one child is absent. */
function layoutFiles(options: { readonly name?: string; readonly sparse?: boolean } = {}) {
  const files: Record<string, string | Buffer> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' }
  const add = (mediaType: string, content: string | Buffer) => {
    const digest = sha256(content)
    files[`blobs/sha256/${digest}`] = content
    return { mediaType, digest: `sha256:${digest}`, size: content.length }
  }
  const layerTar = Buffer.alloc(300_000, 'layer')
  const layer = add('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(layerTar))
  const rootfs = { type: 'layers', diff_ids: [`sha256:${sha256(layerTar)}`] }
  const json = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs })
  const config = add('application/vnd.oci.image.config.v1+json', json)
  const image = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer] }
  let root = add(ociManifest, JSON.stringify(image))
  const signature = add(
    ociManifest,
    JSON.stringify({ ...image, layers: [], subject: root, artifactType: 'a/b' }),
  )
  if (options.sparse === true) {
    const platform = { os: 'linux', architecture: 'amd64' }
    const absent = { mediaType: ociManifest, digest: `sha256:${'0'.repeat(64)}`, size: 7 }
    const manifests = [
      { ...root, platform },
      { ...absent, platform: { os: 'linux', architecture: 's390x' } },
    ]
    root = add(ociIndex, JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
  }
  const annotations = { 'org.opencontainers.image.ref.name': options.name ?? 'v1' }
  files['index.json'] = JSON.stringify({ schemaVersion: 2, manifests: [{ ...root, annotations }, signature] })
  return { files, root, layer, config, signature, layerTar }
}

function unpackTo(folder: string, files: Readonly<Record<string, string | Buffer>>): string {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    fs.writeFileSync(path.join(folder, name), content)
  }
  return folder
}

void t.test(
  'an OCI layout goes in and comes out, as directory, tar, gzip and with its referrers',
  async t => {
    const { run, root } = setUp(t)
    const { files, root: image, signature } = layoutFiles({ name: 'registry.test/team/app:v1' })

    const first = await run('import', unpackTo(`${root}/layout`, files))
    t.match(first, { exitCode: 0, stdout: `team/app:v1@${image.digest}\n` })
    t.match(first.stderr, /3 blobs stored|2 blobs stored/)
    fs.writeFileSync(`${root}/app.tar.gz`, gzipSync(await tarOf(files)))
    const again = await run('import', '--json', '--repository', 'team/app', `${root}/app.tar.gz`)
    t.match(JSON.parse(again.stdout), {
      format: 'oci-layout',
      blobs: { stored: 0, storedBytes: 0 },
      missing: [],
    })

    const one = await run('export', 'team/app:v1', '--with-referrers')
    const two = await run('export', `team/app:v1`, '--with-referrers', '--output', `${root}/out.tar`)
    t.equal(one.exitCode, 0, one.stderr)
    t.equal(two.exitCode, 0, two.stderr)
    t.ok(one.bytes.equals(fs.readFileSync(`${root}/out.tar`)), 'the same bytes each time')
    t.ok(one.bytes.includes(signature.digest))
    const back = await run('import', '--repository', 'back', '--tag', 'v2', `${root}/out.tar`)
    t.match(back, { exitCode: 0, stdout: `back:v2@${image.digest}\n` })
    const referrer = await run('export', `back@${signature.digest}`)
    t.equal(referrer.exitCode, 0, referrer.stderr)
    t.same(
      fs.readdirSync(root).filter(name => name.endsWith('.tmp')),
      [],
    )
  },
)

void t.test('an index without all its images is taken only if that is wanted', async t => {
  const { run, root } = setUp(t)
  const { files, root: index } = layoutFiles({ sparse: true })
  fs.writeFileSync(`${root}/app.tar`, await tarOf(files))

  const refused = await run('import', '--repository', 'a/b', `${root}/app.tar`)
  t.match(refused, { exitCode: 1, stderr: /linux\/s390x .* is not in the archive/ })
  const taken = await run('import', '--repository', 'a/b', '--allow-missing', `${root}/app.tar`)
  t.match(taken, {
    exitCode: 0,
    stdout: `a/b:v1@${index.digest}\n`,
    stderr: /not in the archive: sha256:0+ /,
  })
  t.match(await run('export', 'a/b:v1'), { exitCode: 1, stderr: /1 parts are not in the store/ })
  t.match(await run('export', 'a/b:v1', '--platform', 'linux/amd64'), { exitCode: 0 })
  t.match(await run('export', 'a/b:v1', '--allow-missing'), { exitCode: 0 })
})

void t.test(
  'what docker save wrote goes in with the same digest each time, linked layers too, and comes out',
  async t => {
    const { run, root } = setUp(t)
    const layers = [Buffer.alloc(2048, 'one'), Buffer.alloc(1024, 'two')]
    const config = JSON.stringify({
      rootfs: {
        type: 'layers',
        diff_ids: [layers[0], layers[1], layers[0]].map(l => `sha256:${sha256(l ?? '')}`),
      },
    })
    const saved = await tarOf({
      'a/layer.tar': layers[0] ?? '',
      'b/layer.tar': layers[1] ?? '',
      'c/layer.tar': { link: '../a/layer.tar' },
      [`${sha256(config)}.json`]: config,
      'manifest.json': JSON.stringify([
        {
          Config: `${sha256(config)}.json`,
          RepoTags: ['team/app:1.0', 'team/app:latest'],
          Layers: ['a/layer.tar', 'b/layer.tar', 'c/layer.tar'],
        },
      ]),
    })
    fs.writeFileSync(`${root}/saved.tar`, saved)

    const first = await run('import', `${root}/saved.tar`)
    t.match(first, { exitCode: 0, stdout: /^team\/app:1\.0@(sha256:\w+)\nteam\/app:latest@\1\n$/ })
    t.equal((await run('import', `${root}/saved.tar`)).stdout, first.stdout)
    const out = await run('export', 'team/app:1.0', '--format', 'docker', '--output', `${root}/out.tar`)
    t.equal(out.exitCode, 0, out.stderr)
    const again = await run('import', `${root}/out.tar`)
    t.equal(again.stdout, `${first.stdout.split('\n')[0] ?? ''}\n`)

    const { files, layerTar } = layoutFiles()
    await run('import', '--repository', 'oci', unpackTo(`${root}/layout`, files))
    const unpacked = await run('export', 'oci:v1', '--format', 'docker')
    t.equal(unpacked.exitCode, 0, unpacked.stderr)
    t.ok(unpacked.bytes.includes(`${sha256(layerTar)}.tar`), 'layers are written without gzip')
  },
)

void t.test('what is damaged or leads out of an archive is refused, and nothing is tagged', async t => {
  const { run, root } = setUp(t)
  const { files, layer } = layoutFiles()
  const blob = `blobs/sha256/${layer.digest.slice(7)}`
  const other = Buffer.from(files[blob] as Buffer)
  other[100] = (other[100] ?? 0) ^ 1
  const attempts: readonly (readonly [Files | Buffer, RegExp])[] = [
    [{ ...files, [blob]: other }, /digest/i],
    [{ ...files, [blob]: other.subarray(1) }, /bytes instead of/],
    [{ ...files, [blob]: { link: '../../../../etc/passwd' } }, /leads out of it/],
    [{ ...files, [blob]: { link: '/etc/passwd' } }, /leads out of it/],
    [{ ...files, '../x': 'x' }, /leads out of it/],
    [{ 'oci-layout': '{"imageLayoutVersion":"2.0.0"}', 'index.json': '{}' }, /version/],
    [{ 'manifest.json': '[]' }, /no image/],
    [{ other: 'x' }, /neither an OCI layout nor/],
    [(await tarOf(files)).subarray(0, 2000), /too early/],
    [Buffer.alloc(1024, 'x'), /not a tar/],
    [Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd), Buffer.alloc(600)]), /zstd/],
    [gzipSync(Buffer.alloc(2_000_000)), /more than 1000000 bytes/],
  ]
  for (const [content, message] of attempts) {
    fs.writeFileSync(`${root}/bad.tar`, Buffer.isBuffer(content) ? content : await tarOf(content))
    const result = await run('import', '--repository', 'bad', '--max-size', '1MB', `${root}/bad.tar`)
    t.match(result, { exitCode: 1, stdout: '', stderr: message }, String(message))
  }
  fs.symlinkSync('/etc/passwd', path.join(unpackTo(`${root}/layout`, { ...files, [blob]: '' }), 'x'))
  fs.rmSync(`${root}/layout/${blob}`)
  fs.symlinkSync('/etc/passwd', `${root}/layout/${blob}`)
  t.match(await run('import', '--repository', 'bad', `${root}/layout`), {
    exitCode: 1,
    stderr: /leads out of/,
  })
  t.match(await run('export', 'bad:v1'), { exitCode: 1, stderr: /^registry: / })
})

void t.test('it must be clear which image is meant, and where it goes', async t => {
  const { run, root } = setUp(t)
  const { files, root: image, signature } = layoutFiles()
  const named = (name: string) => ({ 'org.opencontainers.image.ref.name': name })
  const manifests = [
    { ...image, annotations: named('v1') },
    { ...signature, annotations: named('sig') },
  ]
  const layout = unpackTo(`${root}/layout`, {
    ...files,
    'index.json': JSON.stringify({ schemaVersion: 2, manifests }),
  })

  t.match(await run('import', '--all', layout), { exitCode: 1, stderr: /say --repository/ })
  t.match(await run('import', '--repository', 'a', layout), {
    exitCode: 1,
    stderr: /say --all, or --tag .* v1, sig/,
  })
  t.match(await run('import', '--repository', 'a', '--tag', 'sig', layout), {
    stdout: `a:sig@${signature.digest}\n`,
  })
  t.match(await run('import', '--repository', 'a', '--all', layout), { exitCode: 0 })
  t.match(await run('import', `${root}/none.tar`), { exitCode: 1, stderr: /Cannot read ".*none\.tar"/ })
  t.match(await run('export', 'a:v1', '--output', `${root}/no/out.tar`), {
    exitCode: 1,
    stderr: /no\/out\.tar/,
  })
  t.match(await run('export', 'a:v1', '--format', 'rar'), { exitCode: 1 })
})
