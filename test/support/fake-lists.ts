// The lists of the fake upstream: its tags and the referrers of its manifests, page by page.
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'

export interface FakeListBehaviour {
  /** False: the registry is one without a referrers API, and answers 404. */
  referrersApi: boolean
  /** Entries of a page; undefined lists everything at once. */
  pageSize: number | undefined
}

export interface FakeList {
  readonly contentType: string
  readonly body: string
  /** The Link header's value, if there is a further page. */
  readonly link: string | undefined
}

type Manifests = ReadonlyMap<string, { readonly bytes: Buffer; readonly mediaType: string }>

/** Answers a GET of `<name>/tags/list` or `<name>/referrers/<digest>`; undefined: 404. */
export function fakeList(
  url: URL,
  path: string,
  manifests: Manifests,
  { referrersApi, pageSize = Infinity }: FakeListBehaviour,
): FakeList | undefined {
  const [, name = '', kind = '', argument = ''] = /^(.+)\/(tags|referrers)\/([^/]+)$/.exec(path) ?? []
  const references = [...manifests.keys()]
    .filter(key => key.startsWith(`${name}/`))
    .map(key => key.slice(name.length + 1))
  if (references.length === 0) return undefined
  const start = Number(url.searchParams.get('start') ?? 0)
  const cut = <T>(all: readonly T[]) => all.slice(start, start + pageSize)
  const linkIfMore = (total: number) =>
    total > start + pageSize ? `<${url.pathname}?start=${start + pageSize}>; rel="next"` : undefined
  if (kind === 'tags' && argument === 'list') {
    const tags = references.filter(reference => !reference.includes(':'))
    const body = JSON.stringify({ name, tags: cut(tags) })
    return { contentType: 'application/json', body, link: linkIfMore(tags.length) }
  }
  if (kind !== 'referrers' || !referrersApi) return undefined
  const found = references
    .filter(reference => reference.includes(':'))
    .flatMap(reference => referrerOf(manifests.get(`${name}/${reference}`)?.bytes, argument))
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: cut(found) }
  return { contentType: mediaTypes.ociIndex, body: JSON.stringify(index), link: linkIfMore(found.length) }
}

function referrerOf(bytes: Buffer | undefined, subject: string): readonly object[] {
  if (bytes === undefined) return []
  const { mediaType, artifactType, annotations, subject: named } = parse(bytes)
  if (named?.digest !== subject) return []
  return [{ mediaType, digest: digestOf(bytes), size: bytes.length, artifactType, annotations }]
}

interface Document {
  readonly mediaType?: string
  readonly artifactType?: string
  readonly annotations?: object
  readonly subject?: { readonly digest: string }
}

function parse(bytes: Buffer): Document {
  try {
    return JSON.parse(bytes.toString()) as Document
  } catch {
    return {}
  }
}
