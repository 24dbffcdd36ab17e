// Describes v2/blobs.ts.
import type { EndpointDescription, ParameterDescription, ResourceDescription } from './description.ts'
import { contentDigest, contentLength, entityTag, ifMatch, ifNoneMatch } from './parameters.ts'
import { badDigest, conditionFailed, repositoryRefusals, upstreamRefusal } from './refusals.ts'

const blob: ResourceDescription = {
  entity: 'Blob',
  description:
    'Content by its digest: a layer, a configuration, or whatever a manifest refers to. A repository has the blobs that were pushed to it, mounted into it, or mirrored; what only others have is unknown in it.',
}

const cacheControl: ParameterDescription = {
  name: 'Cache-Control',
  type: 'string',
  format: 'max-age=31536000',
  description: 'Content never changes under its digest.',
}

const body = { contentType: 'application/octet-stream', format: '<content>' }

const unknown = {
  status: 404,
  description: 'The repository does not have the blob.',
  errorCodes: ['BLOB_UNKNOWN'],
} as const

export const getBlobDescription: EndpointDescription = {
  resource: blob,
  summary: 'Fetch a blob, or a part of it.',
  requests: [
    {
      description:
        'Of several ranges, up to 16 are answered as `multipart/byteranges`; a malformed `Range` is ignored. A mirror sends a blob that it does not have yet while it fetches it; asked by HEAD, it asks its upstream and fetches nothing.',
      headers: [
        {
          name: 'Range',
          type: 'string',
          format: 'bytes=<first>-<last>',
          description: 'The bytes to send, both ends included; `<first>-` and `-<length>` work as well.',
        },
        {
          name: 'If-Range',
          type: 'string',
          format: '"<digest>"',
          description: '`Range` counts only if this is the entity tag.',
        },
        ifNoneMatch,
        ifMatch,
      ],
      responses: [
        {
          status: 200,
          description: 'The whole blob.',
          headers: [
            contentLength,
            contentDigest,
            entityTag,
            cacheControl,
            { name: 'Accept-Ranges', type: 'string', format: 'bytes', description: '`Range` is understood.' },
          ],
          body,
        },
        {
          status: 206,
          description: 'The part that was asked for, or several as `multipart/byteranges`.',
          headers: [
            {
              name: 'Content-Range',
              type: 'string',
              format: 'bytes <first>-<last>/<size>',
              description: 'Which part it is, if it is one; of several, each carries its own.',
            },
            contentLength,
            contentDigest,
            entityTag,
            cacheControl,
          ],
          body,
        },
        {
          status: 304,
          description: 'The client has the blob, as `If-None-Match` says.',
          headers: [contentDigest, entityTag, cacheControl],
        },
        {
          status: 307,
          description: 'The blob can be had from the storage itself.',
          headers: [
            {
              name: 'Location',
              type: 'URL',
              format: '<url>',
              description: 'Where; credentials for the registry must not be sent there.',
            },
          ],
        },
        badDigest,
        ...repositoryRefusals,
        unknown,
        conditionFailed,
        {
          status: 416,
          description: 'The blob has none of the bytes that `Range` names.',
          headers: [
            {
              name: 'Content-Range',
              type: 'string',
              format: 'bytes */<size>',
              description: 'How many bytes it has.',
            },
          ],
          errorCodes: ['RANGE_INVALID'],
        },
        upstreamRefusal,
      ],
    },
  ],
}

export const deleteBlobDescription: EndpointDescription = {
  resource: blob,
  summary: 'Remove a blob from a repository.',
  requests: [
    {
      description: 'Its bytes are freed by garbage collection, once no repository has it.',
      responses: [
        { status: 202, description: 'The repository does not have the blob any more.' },
        badDigest,
        ...repositoryRefusals,
        unknown,
        {
          status: 405,
          description: 'Deleting is not enabled (`storage.delete.enabled`), or the registry is read-only.',
          errorCodes: ['UNSUPPORTED'],
        },
      ],
    },
  ],
}
