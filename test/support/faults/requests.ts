// What the fault-injecting upstream calls a request: faults are matched against this, and statistics counted by it.

/** `challenge` is a request without a valid token, where a token is wanted; whatever it asked for. */
export const requestKinds = [
  'base',
  'manifest',
  'blob',
  'tags',
  'referrers',
  'upload',
  'catalog',
  'token',
  'challenge',
  'other',
] as const

export type RequestKind = (typeof requestKinds)[number]

/** Where a request arrived: at the registry, at the host that blobs are redirected to, or at the token service. */
export const listenerNames = ['registry', 'cdn', 'token'] as const

export type ListenerName = (typeof listenerNames)[number]

export interface SeenRequest {
  readonly listener: ListenerName
  readonly kind: RequestKind
  readonly method: string
  /** Without its query. */
  readonly path: string
}

/** Names a request by its path. */
export function kindOf(path: string): RequestKind {
  if (/^\/v2\/?$/.test(path)) return 'base'
  if (path === '/token') return 'token'
  if (path === '/v2/_catalog') return 'catalog'
  const [, kind = ''] = /^\/v2\/.+\/(manifests|blobs|tags|referrers)\/[^/]+$/.exec(path) ?? []
  if (/^\/v2\/.+\/blobs\/uploads(?:\/|$)/.test(path)) return 'upload'
  return kinds[kind] ?? 'other'
}

const kinds: Readonly<Record<string, RequestKind>> = {
  manifests: 'manifest',
  blobs: 'blob',
  tags: 'tags',
  referrers: 'referrers',
}
