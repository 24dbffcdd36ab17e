// One upstream over HTTP: the requests that a mirror makes, and what it believes of the answers. Nothing leaves here
// that was not checked as far as its headers or, for manifests, its bytes allow; blobs are verified by the fill.
// Transport (transport.ts) and authentication (authenticate.ts) are below, failing fast (circuit.ts) is around it.
import type { Clock } from '../clock.ts'
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import { isIndexMediaType, manifestMediaTypes, mediaTypes } from '../oci/media-types.ts'
import { formatReference, tagReference, type Reference, type Tag } from '../oci/reference.ts'
import { referrersTag } from '../oci/referrers-tag.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { discard, isBreak, parseRetryAfter, refusal, type HttpAnswer } from './answer.ts'
import { Authenticator } from './authenticate.ts'
import { contentLength, toUpstreamBody } from './body.ts'
import { ByteRate } from './byte-rate.ts'
import type { CredentialSource } from './credentials/credential-source.ts'
import { staticCredentials } from './credentials/static.ts'
import { UpstreamError } from './errors.ts'
import { parseReferrers, parseTags, readList, type List } from './listing.ts'
import { contentDigest, describeManifest, readManifest } from './manifest-answer.ts'
import type { Budget, RateBudget } from './rate-budget.ts'
import type { RequestKind } from './request-queue.ts'
import type { Transport } from './transport.ts'
import { createTransport, type UpstreamOptions } from './upstream-options.ts'
import type { Upstream, UpstreamBody } from './upstream.ts'

/** The label `operation` of entrepot_upstream_requests_total; `token` is one more. */
type Operation = 'blob_stat' | 'blob_open' | 'manifest_get' | 'manifest_stat' | 'referrers' | 'tags'

/** Asked for; an upstream may give fewer. */
const tagsPerPage = 1000

interface Question {
  readonly operation: Operation
  readonly method: 'GET' | 'HEAD'
  readonly repository: RepositoryName
  /** Below /v2/<name>/, with its query. */
  readonly path: string
  /** Where that is, if it is a further page of a list. */
  readonly url?: URL
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Makes the client of one upstream; it connects when it is asked something. Throws TypeError for other schemes, and for
 * certificates that cannot be read; RangeError for limits that are none.
 */
export function createUpstream(options: UpstreamOptions): Upstream {
  return new HttpUpstream(options)
}

class HttpUpstream implements Upstream {
  readonly name: string
  readonly #prefix: string
  readonly #triesAgain: boolean
  readonly #clock: Clock
  readonly #budget: RateBudget | undefined
  readonly #byteRate: ByteRate | undefined
  readonly #transport: Transport
  readonly #authenticator: Authenticator

  constructor(options: UpstreamOptions) {
    const { url, limits: { bytesPerSecond } = {}, budget, clock, logger } = options
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      throw new TypeError(`Cannot use upstream with scheme "${url.protocol}": expected http or https`)
    }
    const name = options.name ?? url.host
    this.name = name
    this.#prefix = `${url.origin}${url.pathname.replace(/\/+$/, '')}/v2/`
    this.#triesAgain = options.retries !== 0
    this.#clock = clock
    this.#budget = budget
    this.#byteRate = bytesPerSecond === undefined ? undefined : new ByteRate(bytesPerSecond, clock)
    this.#transport = createTransport(name, options)
    this.#authenticator = new Authenticator({
      upstream: name,
      url: new URL(this.#prefix),
      credentials: options.credentials ?? credentialsIn(url),
      transport: this.#transport,
      isTrustedHost: hostname => this.#transport.isTrusted(hostname),
      dispatcherFor: realm => this.#transport.dispatcherFor(realm),
      clock,
      logger,
    })
  }

  async statBlob(name: RepositoryName, digest: Digest, options: CallOptions = {}): Promise<Descriptor> {
    const question = { operation: 'blob_stat', repository: name, path: `blobs/${digest}` } as const
    const answer = await this.#ask({ ...question, method: 'HEAD' }, options)
    // Registries refuse HEAD in several ways, and a URL signed for GET does so, too: GET is what counts then.
    const isRefused = answer.status === 405 || answer.status === 401 || answer.status === 403
    let size = answer.status === 200 ? contentLength(answer) : undefined
    if (answer.status !== 200 && !isRefused)
      throw await this.#refusal(answer, `stat blob "${digest}" of "${name}"`)
    await discard(answer)
    if (size === undefined) {
      const body = await this.#openBlob({ ...question, method: 'GET' }, 0, options)
      await body.dispose()
      size = body.size
    }
    if (size === undefined) {
      throw new UpstreamError(
        'invalid',
        this.name,
        `Cannot stat blob "${digest}" of "${name}": size not told`,
      )
    }
    return { mediaType: mediaTypes.octetStream, digest, size }
  }

  async openBlob(
    name: RepositoryName,
    digest: Digest,
    options: CallOptions & { readonly start?: number } = {},
  ): Promise<UpstreamBody> {
    const { start = 0, signal } = options
    const headers = start === 0 ? {} : { range: `bytes=${start}-` }
    const path = `blobs/${digest}`
    return await this.#openBlob(
      { operation: 'blob_open', method: 'GET', repository: name, path, headers },
      start,
      { signal },
    )
  }

  async manifest(
    name: RepositoryName,
    reference: Reference,
    options: CallOptions & { readonly known?: Digest } = {},
  ): Promise<Manifest | 'unchanged'> {
    const { known, signal } = options
    if (known !== undefined) {
      const answer = await this.#headManifest(name, reference, { signal })
      if (answer !== undefined && contentDigest(answer) === known) return 'unchanged'
    }
    const manifest = await this.#getManifest(name, reference, { signal })
    return manifest.descriptor.digest === known ? 'unchanged' : manifest
  }

  async statManifest(
    name: RepositoryName,
    reference: Reference,
    options: CallOptions = {},
  ): Promise<Descriptor> {
    const answer = await this.#headManifest(name, reference, options)
    const descriptor = answer === undefined ? undefined : describeManifest(answer, reference)
    return descriptor ?? (await this.#getManifest(name, reference, options)).descriptor
  }

  async referrers(
    name: RepositoryName,
    digest: Digest,
    options: CallOptions = {},
  ): Promise<readonly ManifestEntry[]> {
    const headers = { accept: mediaTypes.ociIndex }
    const path = `referrers/${digest}`
    const question = { operation: 'referrers', method: 'GET', repository: name, path, headers } as const
    const answer = await this.#ask(question, options)
    if (hasNoReferrersApi(answer.status)) {
      await discard(answer)
      return this.#taggedReferrers(name, digest, options)
    }
    const listed = await this.#readList(answer, question, parseReferrers, options)
    return listed ?? this.#taggedReferrers(name, digest, options)
  }

  async tags(name: RepositoryName, options: CallOptions = {}): Promise<readonly Tag[]> {
    const path = `tags/list?n=${tagsPerPage}`
    const question = { operation: 'tags', method: 'GET', repository: name, path } as const
    const answer = await this.#ask(question, options)
    const listed = await this.#readList(answer, question, parseTags, options)
    if (listed !== undefined) return listed
    const message = `Cannot list tags of "${name}" at "${this.name}": not a list`
    throw new UpstreamError('invalid', this.name, message, { status: answer.status })
  }

  budget(): Budget | undefined {
    return this.#budget?.current()
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  async #readList<T>(
    first: HttpAnswer,
    question: Question,
    parse: List<T>['parse'],
    options: CallOptions,
  ): Promise<readonly T[] | undefined> {
    const checked = async (answer: HttpAnswer): Promise<HttpAnswer> => {
      if (answer.status === 200) return answer
      throw await this.#refusal(answer, `list "${question.path}" of "${question.repository}"`)
    }
    const ask = async (url: URL) => checked(await this.#ask({ ...question, url }, options))
    const list = { upstream: this.name, url: this.#urlOf(question), parse, ask }
    return await readList(await checked(first), list, options)
  }

  async #taggedReferrers(
    name: RepositoryName,
    digest: Digest,
    options: CallOptions,
  ): Promise<readonly ManifestEntry[]> {
    try {
      const { bytes, descriptor } = await this.#getManifest(name, tagReference(referrersTag(digest)), options)
      return isIndexMediaType(descriptor.mediaType)
        ? parseManifest(bytes, descriptor.mediaType).manifests
        : []
    } catch (err) {
      if (err instanceof UpstreamError && err.failure === 'unknown') return []
      throw err
    }
  }

  async #openBlob(question: Question, start: number, options: CallOptions): Promise<UpstreamBody> {
    const answer = await this.#ask(question, options, 'blob')
    if (answer.status !== 200 && answer.status !== 206) {
      throw await this.#refusal(answer, `open "${question.path}" of "${question.repository}"`)
    }
    return toUpstreamBody(answer, this.name, start, { ...options, byteRate: this.#byteRate })
  }

  /** Undefined where HEAD is refused as a method; the answer's body is done with. */
  async #headManifest(
    name: RepositoryName,
    reference: Reference,
    options: CallOptions,
  ): Promise<HttpAnswer | undefined> {
    const answer = await this.#ask(manifestQuestion('HEAD', name, reference), options)
    if (answer.status !== 200 && answer.status !== 405) {
      throw await this.#refusal(answer, `stat manifest "${formatReference(reference)}" of "${name}"`)
    }
    await discard(answer)
    return answer.status === 405 ? undefined : answer
  }

  /** A body that breaks off is worth a second try, as a connection is: here is nothing that could be gone on with. */
  async #getManifest(name: RepositoryName, reference: Reference, options: CallOptions): Promise<Manifest> {
    try {
      return await this.#tryManifest(name, reference, options)
    } catch (err) {
      if (!this.#triesAgain || options.signal?.aborted || !isBreak(err)) throw err
      return await this.#tryManifest(name, reference, options)
    }
  }

  async #tryManifest(name: RepositoryName, reference: Reference, options: CallOptions): Promise<Manifest> {
    const answer = await this.#ask(manifestQuestion('GET', name, reference), options)
    if (answer.status !== 200) {
      throw await this.#refusal(answer, `get manifest "${formatReference(reference)}" of "${name}"`)
    }
    return await readManifest(answer, this.name, reference, options)
  }

  /** Asks as the upstream is known to want it, and at most once more as its 401 says. Any status is an answer. */
  async #ask(question: Question, options: CallOptions, kind: RequestKind = 'brief'): Promise<HttpAnswer> {
    const { operation, method, repository, headers } = question
    const url = this.#urlOf(question)
    const first = await this.#authenticator.authorize(repository, options)
    const retries = this.#transport.startRetries()
    const request = { operation, method, url, headers, kind, party: repository, retries }
    const answer = await this.#transport.send({ ...request, authorization: first?.header }, options)
    if (answer.status !== 401 || answer.redirected) return answer
    await discard(answer)
    const challenges = answer.headerLines('www-authenticate')
    const second = await this.#authenticator.reauthorize(challenges, repository, first, options)
    if (second === undefined) return answer
    return await this.#transport.send({ ...request, authorization: second.header }, options)
  }

  #urlOf({ url, repository, path }: Question): URL {
    return url ?? new URL(`${this.#prefix}${repository}/${path}`)
  }

  #refusal(answer: HttpAnswer, action: string): Promise<UpstreamError> {
    if (answer.status === 429 && !answer.redirected) {
      this.#budget?.exhausted(parseRetryAfter(answer.header('retry-after'), this.#clock.now()))
    }
    return refusal(answer, this.name, action, this.#clock)
  }
}

/** What registries without the API answer: the path is nothing to them, or looks like something else. */
function hasNoReferrersApi(status: number): boolean {
  return [400, 404, 405, 406, 410, 501].includes(status)
}

function manifestQuestion(
  method: 'GET' | 'HEAD',
  repository: RepositoryName,
  reference: Reference,
): Question {
  return {
    operation: method === 'GET' ? 'manifest_get' : 'manifest_stat',
    method,
    repository,
    path: `manifests/${formatReference(reference)}`,
    headers: { accept: manifestMediaTypes.join(', ') },
  }
}

function credentialsIn(url: URL): CredentialSource | undefined {
  if (url.username === '') return undefined
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  return staticCredentials({ username, password })
}
