// Pulls an image as a client would: its manifest by tag, the one for this platform, then config and layers, each of which
// is verified, large ones only at their beginning.
import { createAuthenticatedFetch, type Answer } from './ask.ts'
import { algorithmOf, digestOf, Hasher, type Digest } from '../../oci/digest.ts'
import { describeError } from '../../log.ts'
import { parseImageReference, referenceOf } from '../../oci/image-reference.ts'
import { maxManifestBytes, parseManifest } from '../../oci/manifest.ts'
import { manifestMediaTypes } from '../../oci/media-types.ts'
import { entriesFor, formatPlatform, machinePlatform } from '../../oci/platform.ts'
import { formatReference } from '../../oci/reference.ts'
import { fail, ok, warn, type Finding } from './check.ts'

const wholeBytes = 4 * 1024 * 1024

export async function* checkPull(url: URL, image: string): AsyncGenerator<Finding> {
  try {
    const parsed = parseImageReference(image)
    const ask = createAuthenticatedFetch(url, parsed.repository)
    const base = `/v2/${parsed.repository}`
    const top = await getManifest(ask, `${base}/manifests/${formatReference(referenceOf(parsed))}`)
    yield* provenance(top.answer)
    let content = parseManifest(top.bytes, top.answer.headers.get('content-type') ?? undefined)
    if (content.manifests.length > 0) {
      const platform = machinePlatform()
      const [entry] = entriesFor(platform, content.manifests)
      if (entry === undefined) {
        yield warn('pull', `${image} has nothing for ${formatPlatform(platform)}`)
        return
      }
      const child = await getManifest(ask, `${base}/manifests/${entry.digest}`, entry.digest)
      content = parseManifest(child.bytes, entry.mediaType)
    }
    let bytes = 0
    for (const { digest, size } of content.blobs)
      bytes += await checkBlob(ask, `${base}/blobs/${digest}`, digest, size)
    yield ok('pull', `${image}: manifest and ${content.blobs.length} blobs, ${bytes} bytes read and verified`)
  } catch (err) {
    yield fail(
      'pull',
      `${image} cannot be pulled: ${describeError(err)}`,
      'Ask `registry explain` what the registry does for it.',
    )
  }
}

type Ask = ReturnType<typeof createAuthenticatedFetch>

async function getManifest(
  ask: Ask,
  path: string,
  digest?: Digest,
): Promise<{ bytes: Buffer; answer: Answer }> {
  const answer = await ask(path, { accept: manifestMediaTypes.join(', ') })
  const bytes = await readUpTo(answer, maxManifestBytes, path)
  const said = digest ?? answer.headers.get('docker-content-digest')
  const found = digestOf(bytes, said?.startsWith('sha512') === true ? 'sha512' : 'sha256')
  if (said !== null && said !== found) throw new Error(`"${path}" has the digest ${found}, not ${said}`)
  return { bytes, answer }
}

/** How many bytes were read. */
async function checkBlob(ask: Ask, path: string, digest: Digest, size: number): Promise<number> {
  const isWhole = size <= wholeBytes
  const answer = await ask(path, isWhole ? {} : { range: 'bytes=0-65535' })
  if (!isWhole) {
    await answer.body?.cancel()
    return 0
  }
  const hasher = new Hasher(algorithmOf(digest))
  hasher.update(await readUpTo(answer, wholeBytes, path))
  if (hasher.digest() !== digest) throw new Error(`blob ${digest} has the digest ${hasher.digest()}`)
  return size
}

async function readUpTo(answer: Answer, maxBytes: number, path: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += (chunk as Uint8Array).length
    if (bytes > maxBytes) throw new Error(`"${path}" has more than ${maxBytes} bytes`)
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks)
}

function* provenance({ headers }: Answer): Generator<Finding> {
  const cache = headers.get('x-cache')
  if (cache !== null) yield ok('cache', `X-Cache: ${cache}`)
  const warning = headers.get('warning')
  if (warning !== null)
    yield warn('cache', `Warning: ${warning}`, 'The upstream does not answer; what is cached is served.')
}
