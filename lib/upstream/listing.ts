// Lists that an upstream gives out page by page: every page names the next one in a Link header. The list is had whole
// or not at all, and within bounds: an upstream must not keep us busy without end, send us elsewhere, or fill memory.
import * as z from 'zod'
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import { parseManifestEntry } from '../oci/manifest.ts'
import { essence, mediaTypes } from '../oci/media-types.ts'
import { isTag, type Tag } from '../oci/reference.ts'
import { readBody, type HttpAnswer } from './answer.ts'
import { UpstreamError } from './errors.ts'

const maxPages = 1000
const maxPageBytes = 8 * 1024 * 1024
const maxListBytes = 32 * 1024 * 1024

export interface List<T> {
  readonly upstream: string
  /** Where the first page was asked for. */
  readonly url: URL
  /** What a page lists; undefined if it is no page of such a list. */
  parse(page: unknown, answer: HttpAnswer): readonly T[] | undefined
  /** Asks for a further page; an answer that is no success is thrown. */
  ask(url: URL): Promise<HttpAnswer>
}

/**
 * Reads the answer with the first page, and all that follow. Undefined if already the first one is no such list. Throws
 * UpstreamError: `invalid` for a list without end, or one that goes on at another origin.
 */
export async function readList<T>(
  first: HttpAnswer,
  { upstream, url, parse, ask }: List<T>,
  options: CallOptions = {},
): Promise<readonly T[] | undefined> {
  const listed: T[] = []
  const visited = new Set<string>([url.href])
  let listBytes = 0
  let answer = first
  for (;;) {
    const body = await readBody(answer, upstream, maxPageBytes, options)
    listBytes += body.length
    if (listBytes > maxListBytes) throw invalid(upstream, answer, 'it is too long')
    const page = parse(parseJson(body), answer)
    if (page === undefined && answer === first) return undefined
    if (page === undefined) throw invalid(upstream, answer, 'a page is no list')
    for (const item of page) listed.push(item)
    const next = nextPage(answer, url)
    if (next === undefined) return listed
    if (next === 'elsewhere') throw invalid(upstream, answer, 'it goes on at another origin')
    if (visited.has(next.href) || visited.size >= maxPages) throw invalid(upstream, answer, 'it has no end')
    visited.add(next.href)
    answer = await ask(next)
  }
}

/** The descriptors of an index; those that we could not fetch by their digest are left out. */
export function parseReferrers(page: unknown, answer: HttpAnswer): readonly ManifestEntry[] | undefined {
  const { success, data } = index.safeParse(page)
  const isIndex =
    data?.mediaType === mediaTypes.ociIndex || essence(answer.header('content-type')) === mediaTypes.ociIndex
  if (!success || !isIndex) return undefined
  return (data.manifests ?? []).map(parseManifestEntry).filter(entry => entry !== undefined)
}

export function parseTags(page: unknown): readonly Tag[] | undefined {
  const { success, data } = tagList.safeParse(page)
  return success ? (data.tags ?? []).filter(isTag) : undefined
}

/** Where the next page is, if there is one. */
export function nextPage(answer: HttpAnswer, asked: URL): URL | 'elsewhere' | undefined {
  for (const line of answer.headerLines('link')) {
    for (const [, target = '', parameters = ''] of line.matchAll(/<([^<>]*)>([^<]*)/g)) {
      const [, quoted, token] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters) ?? []
      if (!(quoted ?? token ?? '').toLowerCase().split(/\s+/).includes('next')) continue
      const next = URL.canParse(target, asked.href) ? new URL(target, asked) : undefined
      return next?.origin === asked.origin ? next : 'elsewhere'
    }
  }
  return undefined
}

const index = z.object({ mediaType: z.string().optional(), manifests: z.array(z.unknown()).nullish() })
const tagList = z.object({ tags: z.array(z.string()).nullish() })

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function invalid(upstream: string, { status }: HttpAnswer, problem: string): UpstreamError {
  return new UpstreamError('invalid', upstream, `Cannot use list from "${upstream}": ${problem}`, { status })
}
