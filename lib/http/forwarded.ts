// The Forwarded header (RFC 7239): what proxies say of the request that they pass on.

/** The parameters of one element; names are in lower case. */
export interface ForwardedElement {
  readonly for?: string
  readonly proto?: string
  readonly host?: string
}

/**
 * The first element of a Forwarded header; undefined if it is malformed. A host with a port should be quoted; one that
 * is not is understood all the same.
 */
export function parseForwarded(header: string): ForwardedElement | undefined {
  return elementsOf(header).next().value ?? undefined
}

/** Every element, the nearest proxy's last; none of them if one is malformed. */
export function parseForwardedElements(header: string): readonly ForwardedElement[] {
  const elements: ForwardedElement[] = []
  for (const element of elementsOf(header)) {
    if (element === undefined) return []
    elements.push(element)
  }
  return elements
}

/** Ends with undefined where the header is malformed. */
function* elementsOf(header: string): Generator<ForwardedElement | undefined, undefined> {
  const pair = /\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~:[\]-]+))\s*(;|,|$)/y
  let found = new Map<string, string>()
  for (;;) {
    const match = pair.exec(header)
    if (match === null) {
      yield undefined
      return
    }
    const [, key = '', quoted, token = '', separator] = match
    found.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token)
    const isLast = pair.lastIndex >= header.length
    if (separator === ';' && !isLast) continue
    yield toElement(found)
    if (isLast) return
    found = new Map()
  }
}

function toElement(found: ReadonlyMap<string, string>): ForwardedElement {
  const [hop, proto, host] = [found.get('for'), found.get('proto')?.toLowerCase(), found.get('host')]
  return {
    ...(hop !== undefined && { for: hop }),
    ...(proto !== undefined && { proto }),
    ...(host !== undefined && { host }),
  }
}
