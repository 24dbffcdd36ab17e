// The `_state` token in an upload's Location: it binds the URL to a repository, a session and an offset, so that a URL
// of an earlier step cannot append in the wrong place. The form is distribution's, so that replicas of both kinds
// behind one address understand each other's: base64url with padding of HMAC-SHA256(secret, json) followed by json.
import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { RegistryError } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/repository-name.ts'
import type { UploadId } from '../../oci/upload-id.ts'

export interface UploadState {
  readonly name: RepositoryName
  readonly id: UploadId
  /** Bytes received when the token was made. */
  readonly offset: number
  readonly startedAtMs: number
}

export interface UploadStateTokens {
  pack(state: UploadState): string
  /** The offset of a token made for this session. RegistryError BLOB_UPLOAD_INVALID. */
  unpack(token: string | undefined, name: RepositoryName, id: UploadId): number
}

const macBytes = 32
const content = z.object({ Name: z.string(), UUID: z.string(), Offset: z.int().nonnegative() })

export function createUploadState(secret: string | Buffer): UploadStateTokens {
  const sign = (json: Buffer) => createHmac('sha256', secret).update(json).digest()
  return {
    pack({ name, id, offset, startedAtMs }) {
      const StartedAt = new Date(startedAtMs).toISOString().replace('.000Z', 'Z')
      const json = Buffer.from(JSON.stringify({ Name: name, UUID: id, Offset: offset, StartedAt }))
      return toBase64Url(Buffer.concat([sign(json), json]))
    },
    unpack(token, name, id) {
      if (token === undefined) throw invalidState('missing state')
      const bytes = Buffer.from(token, 'base64url')
      const json = bytes.subarray(macBytes)
      if (bytes.length <= macBytes || !timingSafeEqual(bytes.subarray(0, macBytes), sign(json))) {
        throw invalidState('invalid secret')
      }
      const state = content.safeParse(parseJson(json))
      if (!state.success || state.data.Name !== name || state.data.UUID !== id) {
        throw invalidState('state of another upload')
      }
      return state.data.Offset
    },
  }
}

/** Node's own base64url leaves the padding out, which Go's decoder insists on. */
function toBase64Url(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function invalidState(detail: string): RegistryError {
  return new RegistryError('BLOB_UPLOAD_INVALID', `Cannot use upload state: ${detail}`, { detail })
}
