// /v2/<name>/blobs/uploads/ and /v2/<name>/blobs/uploads/<id>: distribution-spec end-4, end-5, end-6, end-11, end-13.
// Every answer about a session carries its Location with a fresh state, its Range and its id; that is how clients
// find their way back after a broken connection.
import type { IncomingMessage } from 'node:http'
import type { Access, AccessController } from '../../auth/access-controller.ts'
import type { Logger } from '../../log.ts'
import { formatUploadRange, parseUploadRange } from '../../oci/byte-range.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import {
  algorithmOf,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
  type DigestAlgorithm,
} from '../../oci/digest.ts'
import { RegistryError, SizeMismatchError } from '../../oci/errors.ts'
import { isRepositoryName, type RepositoryName } from '../../oci/repository-name.ts'
import { parseUploadId } from '../../oci/upload-id.ts'
import type { Registry, UploadService, UploadSession } from '../../registry/registry.ts'
import {
  appendUploadDescription,
  cancelUploadDescription,
  completeUploadDescription,
  startUploadDescription,
  uploadStatusDescription,
} from '../api/uploads.ts'
import { answerEmpty, credentialsOf, queryValue, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint, type Wanted } from '../endpoint.ts'
import type { RequestEvents } from '../events.ts'
import { HttpError } from '../http-error.ts'
import type { Address } from '../router.ts'
import type { UrlBuilder } from '../url-builder.ts'
import type { UploadStateTokens } from './upload-state.ts'

export interface UploadDeps {
  readonly registry: Registry
  readonly urls: UrlBuilder
  readonly uploadState: UploadStateTokens
  /** Tells whose repository `from` means. */
  readonly address: Address
  /** Says whether a blob may be mounted from another repository. */
  readonly access: AccessController
  readonly events?: RequestEvents | undefined
  readonly logger: Logger
}

export function uploadEndpoints(deps: UploadDeps): readonly RepositoryEndpoint[] {
  const { registry, urls, uploadState, events, logger } = deps
  const startAccess = accessToStart(deps.address)

  /** POST: mounts, takes a whole blob, or starts a session. */
  async function start(ctx: Context, { name }: Params): Promise<void> {
    const uploads = uploadsOf(name)
    const { signal } = ctx.state
    const mounted = await tryMount(ctx, name, uploads)
    if (mounted !== undefined) return created(ctx, name, mounted)
    const digestText = queryValue(ctx, 'digest')
    const digest = digestText === undefined ? undefined : parseDigest(digestText)
    const algorithm = digest === undefined ? wantedAlgorithm(ctx) : algorithmOf(digest)
    const session = await uploads.start({ signal, algorithm })
    if (digest === undefined) return describe(ctx, name, session, 202)
    try {
      await session.append(ctx.req, 0, { signal, sizeBytes: contentLength(ctx.req) })
      pushed(ctx, name, await session.complete(digest, { signal }))
    } catch (err) {
      await session.cancel()
      throw err
    }
  }

  /** GET: how far the session has got. Needs no state, as it is how a client gets a new one. */
  async function status(ctx: Context, { name, argument }: Params): Promise<void> {
    const session = await uploadsOf(name).resume(parseUploadId(argument), { signal: ctx.state.signal })
    describe(ctx, name, session, 204)
  }

  /** PATCH: appends the body, chunked or streamed. */
  async function append(ctx: Context, params: Params): Promise<void> {
    const session = await resume(ctx, params)
    await receive(ctx, params.name, session)
    describe(ctx, params.name, session, 202)
  }

  /** PUT: appends the body, if there is one, and makes a blob of the session. */
  async function complete(ctx: Context, params: Params): Promise<void> {
    const session = await resume(ctx, params)
    const digestText = queryValue(ctx, 'digest')
    if (digestText === undefined) {
      throw new RegistryError('DIGEST_INVALID', 'Cannot complete upload: no digest', {
        detail: 'digest missing',
      })
    }
    const digest = parseDigest(digestText)
    if (hasBody(ctx.req)) await receive(ctx, params.name, session)
    pushed(ctx, params.name, await session.complete(digest, { signal: ctx.state.signal }))
  }

  async function cancel(ctx: Context, params: Params): Promise<void> {
    const session = await resume(ctx, params)
    await session.cancel()
    answerEmpty(ctx, 204)
    ctx.set('Docker-Upload-UUID', session.id)
  }

  function uploadsOf(name: RepositoryName): UploadService {
    const { uploads } = registry.repository(name)
    if (uploads === undefined) throw new RegistryError('UNSUPPORTED', 'Cannot push to this registry')
    return uploads
  }

  /** The session of a request that changes it: the state must be of this session and of where it stands now. */
  async function resume(ctx: Context, { name, argument }: Params): Promise<UploadSession> {
    const id = parseUploadId(argument)
    const session = await uploadsOf(name).resume(id, { signal: ctx.state.signal })
    const offset = uploadState.unpack(queryValue(ctx, '_state'), name, id)
    if (offset !== session.offset) throw outOfStep(ctx, name, session)
    return session
  }

  async function receive(ctx: Context, name: RepositoryName, session: UploadSession): Promise<void> {
    const { signal } = ctx.state
    const { start = session.offset, sizeBytes } = announcedChunk(ctx.req)
    if (start !== session.offset) throw outOfStep(ctx, name, session)
    try {
      await session.append(ctx.req, start, { signal, sizeBytes })
    } catch (err) {
      if (!(err instanceof RegistryError) || err.code !== 'RANGE_INVALID') throw err
      throw outOfStep(ctx, name, session, err)
    }
  }

  /**
   * Any failure to mount means an ordinary upload: the client has the bytes. So does a repository that the client may
   * not read, whether it has the blob or not. Without `from` the blob is looked for in this repository alone.
   */
  async function tryMount(
    ctx: Context,
    name: RepositoryName,
    uploads: UploadService,
  ): Promise<Descriptor | undefined> {
    const digest = queryValue(ctx, 'mount')
    const from = queryValue(ctx, 'from') === undefined ? name : sourceOf(ctx, deps.address)
    if (digest === undefined || !isDigest(digest) || from === undefined) return undefined
    const { signal } = ctx.state
    try {
      if (from !== name) await deps.access.authorize(credentialsOf(ctx), [pullFrom(from)], { signal })
      const mounted = await uploads.mount(digest, from, { signal })
      events?.blobMounted(ctx, name, mounted, from)
      return mounted
    } catch (err) {
      if (!(err instanceof RegistryError)) logger.warn({ err }, 'cannot mount blob, taking an upload instead')
      return undefined
    }
  }

  function pushed(ctx: Context, name: RepositoryName, blob: Descriptor): void {
    events?.blobPushed(ctx, name, blob)
    created(ctx, name, blob)
  }

  function created(ctx: Context, name: RepositoryName, { digest }: Descriptor): void {
    answerEmpty(ctx, 201)
    ctx.set({ Location: urls.blob(ctx.req, name, digest), 'Docker-Content-Digest': digest })
  }

  function describe(ctx: Context, name: RepositoryName, session: UploadSession, httpStatus: number): void {
    answerEmpty(ctx, httpStatus)
    ctx.set({ ...whereabouts(ctx, name, session), 'Docker-Upload-UUID': session.id })
  }

  function whereabouts(ctx: Context, name: RepositoryName, session: UploadSession) {
    const { id, offset, startedAtMs } = session
    const state = uploadState.pack({ name, id, offset, startedAtMs })
    return { Location: urls.upload(ctx.req, name, id, state), Range: formatUploadRange(offset) }
  }

  function outOfStep(ctx: Context, name: RepositoryName, session: UploadSession, cause?: unknown): HttpError {
    return new HttpError(
      'RANGE_INVALID',
      `Cannot append to upload "${session.id}": it stands at ${session.offset}`,
      {
        headers: whereabouts(ctx, name, session),
        cause,
      },
    )
  }

  const sessions = '/v2/*name/blobs/uploads/'
  const path = '/v2/*name/blobs/uploads/:id'
  return [
    {
      name: 'blob-upload',
      method: 'POST',
      path: sessions,
      describe: startUploadDescription,
      access: startAccess,
      handle: start,
    },
    {
      name: 'blob-upload-chunk',
      method: 'GET',
      path,
      describe: uploadStatusDescription,
      access: access.pull,
      handle: status,
    },
    {
      name: 'blob-upload-chunk',
      method: 'PATCH',
      path,
      describe: appendUploadDescription,
      access: access.push,
      handle: append,
    },
    {
      name: 'blob-upload-chunk',
      method: 'PUT',
      path,
      describe: completeUploadDescription,
      access: access.push,
      handle: complete,
    },
    {
      name: 'blob-upload-chunk',
      method: 'DELETE',
      path,
      describe: cancelUploadDescription,
      access: access.remove,
      handle: cancel,
    },
  ]
}

/**
 * Mounting also reads from the other repository. Who may not push as yet is asked for a token that suffices for both; who
 * may do no more than push makes an upload, see tryMount().
 */
function accessToStart(address: Address): (ctx: Context, params: Params) => Wanted {
  return (ctx, params) => {
    const from = sourceOf(ctx, address)
    const own = access.push(ctx, params)
    const { authorization, certificate } = credentialsOf(ctx)
    // What they are good for is looked up; a token says itself what it is for, and a challenge what it has to be for.
    const areJudgedHere = certificate !== undefined || /^basic /i.test(authorization ?? '')
    return from === undefined || areJudgedHere ? own : [...own, { ...pullFrom(from), isDispensable: true }]
  }
}

/** The repository that `from` means; undefined without one, or where it can mean none. */
function sourceOf(ctx: Context, address: Address): RepositoryName | undefined {
  const from = queryValue(ctx, 'from')
  if (from === undefined || !isRepositoryName(from)) return undefined
  return address(from, { host: ctx.req.headers.host, namespace: queryValue(ctx, 'ns') })
}

function pullFrom(name: string): Access {
  return { type: 'repository', name, action: 'pull' }
}

/** What the session's digest will be computed with. Source: distribution-spec end-4a, `digest-algorithm`. */
function wantedAlgorithm(ctx: Context): DigestAlgorithm | undefined {
  const text = queryValue(ctx, 'digest-algorithm')
  if (text === undefined || isDigestAlgorithm(text)) return text
  throw new RegistryError(
    'DIGEST_INVALID',
    `Cannot start upload: unsupported algorithm "${text.slice(0, 80)}"`,
    {
      detail: 'unsupported digest algorithm',
    },
  )
}

/** Where the body belongs and how long it is, as far as the headers tell. RANGE_INVALID, SizeMismatchError. */
function announcedChunk(req: IncomingMessage): {
  readonly start?: number
  readonly sizeBytes: number | undefined
} {
  const header = req.headers['content-range']
  const length = contentLength(req)
  if (header === undefined) return { sizeBytes: length }
  const { start, end } = parseUploadRange(header)
  if (length !== undefined && length !== end - start) throw new SizeMismatchError(end - start, length)
  return { start, sizeBytes: end - start }
}

function contentLength({ headers }: IncomingMessage): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
}

function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || (contentLength(req) ?? 0) > 0
}
