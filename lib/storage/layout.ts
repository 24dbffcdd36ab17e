// Where everything lies. One function per path, and nobody else puts a path together.
//
//   /docker/registry/v2/
//     blobs/<algorithm>/<first two of hex>/<hex>/data        the content itself: blobs and manifests, verbatim
//     repositories/<name>/
//       _layers/<algorithm>/<hex>/link                       this repository holds that blob
//       _manifests/revisions/<algorithm>/<hex>/link          … that manifest
//       _manifests/tags/<tag>/current/link                   what the tag means now
//       _manifests/tags/<tag>/index/<algorithm>/<hex>/link   what it has meant
//       _uploads/<id>/{data,startedat}                       upload sessions
//       _referrers/<algorithm>/<hex>/<algorithm>/<hex>/link  subject, and a manifest that names it so
//       _referrers/indexed                                   every revision was looked at for a subject
//     _fills/[<algorithm>-<hex>.]<id>/data                   blobs on their way from an upstream
//     _fills/partial/<algorithm>-<hex>                       what is kept of blobs that did not arrive in whole
//     _mirror/<name>/_tags/<tag>/record                      what is known of a mirrored tag's upstream
//     _mirror/_content/<algorithm>/<first two of hex>/<hex>  this content came from an upstream, and nobody pushed it
//     _mirror/_recency/<first two of hex>                    when mirrored content was last used
//     _mirror/_pins                                          what operators want to be kept
//     _mirror/_adopted                                       that what distribution has mirrored was taken over
//
// All but `_referrers`, `_fills` and `_mirror` is distribution's layout (its storage/paths.go), byte for byte: a link
// file holds the digest and nothing else, `startedat` an RFC 3339 time. Its catalog and garbage collection do not look
// at those three. A repository's components never start with `_`, so that names and our own folders cannot meet.
import { algorithmOf, hexOf, isDigest, type Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import type { StoragePath } from './driver/driver.ts'

const root = '/docker/registry/v2'

export const layout = {
  root: path(root),
  blobs: path(`${root}/blobs`),
  repositories: path(`${root}/repositories`),
  fills: path(`${root}/_fills`),

  blobDirectory: (digest: Digest) =>
    path(`${root}/blobs/${algorithmOf(digest)}/${hexOf(digest).slice(0, 2)}/${hexOf(digest)}`),
  blobContent: (digest: Digest) => path(`${layout.blobDirectory(digest)}/data`),

  repository: (name: RepositoryName) => path(`${root}/repositories/${name}`),
  layers: (name: RepositoryName) => path(`${layout.repository(name)}/_layers`),
  layerDirectory: (name: RepositoryName, digest: Digest) =>
    path(`${layout.layers(name)}/${hashPath(digest)}`),
  layerLink: (name: RepositoryName, digest: Digest) => path(`${layout.layerDirectory(name, digest)}/link`),
  manifests: (name: RepositoryName) => path(`${layout.repository(name)}/_manifests`),
  revisions: (name: RepositoryName) => path(`${layout.manifests(name)}/revisions`),
  revisionDirectory: (name: RepositoryName, digest: Digest) =>
    path(`${layout.revisions(name)}/${hashPath(digest)}`),
  revisionLink: (name: RepositoryName, digest: Digest) =>
    path(`${layout.revisionDirectory(name, digest)}/link`),
  tags: (name: RepositoryName) => path(`${layout.manifests(name)}/tags`),
  tag: (name: RepositoryName, tag: Tag) => path(`${layout.tags(name)}/${tag}`),
  tagCurrent: (name: RepositoryName, tag: Tag) => path(`${layout.tag(name, tag)}/current/link`),
  tagEntry: (name: RepositoryName, tag: Tag, digest: Digest) =>
    path(`${layout.tag(name, tag)}/index/${hashPath(digest)}/link`),

  referrers: (name: RepositoryName, subject: Digest) =>
    path(`${layout.repository(name)}/_referrers/${hashPath(subject)}`),
  referrerLink: (name: RepositoryName, subject: Digest, referrer: Digest) =>
    path(`${layout.referrers(name, subject)}/${hashPath(referrer)}/link`),
  referrersIndexed: (name: RepositoryName) => path(`${layout.repository(name)}/_referrers/indexed`),

  uploads: (name: RepositoryName) => path(`${layout.repository(name)}/_uploads`),
  upload: (name: RepositoryName, id: UploadId) => path(`${layout.uploads(name)}/${id}`),
  uploadContent: (name: RepositoryName, id: UploadId) => path(`${layout.upload(name, id)}/data`),
  uploadStartedAt: (name: RepositoryName, id: UploadId) => path(`${layout.upload(name, id)}/startedat`),

  fill: (id: string) => path(`${root}/_fills/${id}`),
  fillContent: (id: string) => path(`${root}/_fills/${id}/data`),
  /** The id of a fill that says which digest it is meant to become. */
  fillIdOf: (digest: Digest, id: string) => `${algorithmOf(digest)}-${hexOf(digest)}.${id}`,
  partialFills: path(`${root}/_fills/partial`),
  partialFill: (digest: Digest) => path(`${root}/_fills/partial/${algorithmOf(digest)}-${hexOf(digest)}`),
  mirroredTag: (name: RepositoryName, tag: Tag) => path(`${root}/_mirror/${name}/_tags/${tag}/record`),
  mirroredMarkers: path(`${root}/_mirror/_content`),
  mirroredMarker: (digest: Digest) =>
    path(`${layout.mirroredMarkers}/${algorithmOf(digest)}/${hexOf(digest).slice(0, 2)}/${hexOf(digest)}`),
  recency: path(`${root}/_mirror/_recency`),
  recencyShard: (shard: string) => path(`${layout.recency}/${shard}`),
  pins: path(`${root}/_mirror/_pins`),
  mirrorRecords: path(`${root}/_mirror`),
  adopted: path(`${root}/_mirror/_adopted`),
  /** Damaged content, where no walk of the registry looks. */
  quarantined: (digest: Digest) => path(`/_quarantine/${algorithmOf(digest)}/${hexOf(digest)}`),
  /** Where distribution's mirror keeps what expires when: its registry/proxy/scheduler. */
  schedulerState: path('/scheduler-state.json'),
}

/** What the folder of a fill is meant to become, or what a partial one is of; undefined if its name does not say. */
export function digestOfFill(of: StoragePath): Digest | undefined {
  const [algorithm, hex] = (baseName(of).split('.')[0] ?? '').split('-')
  const digest = `${algorithm}:${hex}`
  return isDigest(digest) ? digest : undefined
}

/** The last component of a path. */
export function baseName(of: StoragePath): string {
  return of.slice(of.lastIndexOf('/') + 1)
}

function hashPath(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}

function path(text: string): StoragePath {
  return text as StoragePath
}
