// URLs of files below a URL that is configured.

/** `base` with `path` after its own; its query, if it has one, stays. */
export function urlBelow(base: URL, path: string): URL {
  const url = new URL(base)
  // A key may hold what means something in a URL; its slashes part it as they do there.
  const encoded = path.split('/').filter(Boolean).map(encodeURIComponent).join('/')
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${encoded}`
  return url
}
