// Describes v2/uploads.ts.
import type {
  BodyDescription,
  EndpointDescription,
  ParameterDescription,
  ResourceDescription,
  ResponseDescription,
} from './description.ts'
import { contentDigest } from './parameters.ts'
import { repositoryRefusals } from './refusals.ts'

const sessions: ResourceDescription = {
  entity: 'Uploads',
  description: 'Where blobs are pushed to: at once, in pieces through an upload session, or by mounting.',
}

const session: ResourceDescription = {
  entity: 'Upload session',
  description:
    'A blob that is being pushed. Its content is kept between requests, also when the server is restarted, until the session is completed, cancelled, or too old. Every answer has the URL for the next request, which is good for one step only.',
}

const content: BodyDescription = { contentType: 'application/octet-stream', format: '<content>' }

const contentRange: ParameterDescription = {
  name: 'Content-Range',
  type: 'string',
  format: '<first>-<last>',
  description:
    'Where the content belongs in the blob, both ends included; it must begin where the session stands.',
}

const state: ParameterDescription = {
  name: '_state',
  type: 'string',
  format: '<state>',
  description: 'Part of the `Location` of the last answer.',
  required: true,
}

const digest: ParameterDescription = {
  name: 'digest',
  type: 'digest',
  format: '<digest>',
  description: 'Digest of the whole blob.',
  required: true,
}

/** What each answer about a session has. */
const whereabouts: readonly ParameterDescription[] = [
  {
    name: 'Location',
    type: 'URL',
    format: '<url>',
    description: 'Where the next request goes, as it is: parameters are added to those that it has.',
  },
  {
    name: 'Range',
    type: 'string',
    format: '0-<last>',
    description: 'What of the blob is there, both ends included; `0-0` also where there is nothing.',
  },
]

const uploadId: ParameterDescription = {
  name: 'Docker-Upload-UUID',
  type: 'string',
  format: '<id>',
  description: 'Name of the upload session.',
}

const created: ResponseDescription = {
  status: 201,
  description: 'The repository has the blob.',
  headers: [
    { name: 'Location', type: 'URL', format: '<url>', description: 'Where the blob is.' },
    contentDigest,
  ],
}

const started: ResponseDescription = {
  status: 202,
  description: 'The session is there.',
  headers: [...whereabouts, uploadId],
}

const badContent: ResponseDescription = {
  status: 400,
  description: 'The content does not have the digest, or not the length that was announced.',
  errorCodes: ['DIGEST_INVALID', 'SIZE_INVALID'],
}

const unknown: ResponseDescription = {
  status: 404,
  description: 'There is no such session in this repository.',
  errorCodes: ['BLOB_UPLOAD_UNKNOWN'],
}

const badState: ResponseDescription = {
  status: 404,
  description: 'There is no such session in this repository, or the URL is not one that it gave out.',
  errorCodes: ['BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID'],
}

const noPush: ResponseDescription = {
  status: 405,
  description: 'The registry is a mirror only, or read-only.',
  errorCodes: ['UNSUPPORTED'],
}

const outOfStep: ResponseDescription = {
  status: 416,
  description: 'The content does not begin where the session stands, or the URL is of an earlier step.',
  headers: whereabouts,
  errorCodes: ['RANGE_INVALID'],
}

export const startUploadDescription: EndpointDescription = {
  resource: sessions,
  summary: 'Push a blob: begin a session, send it at once, or mount it.',
  requests: [
    {
      name: 'Begin a session',
      description: 'The content follows in further requests.',
      query: [
        {
          name: 'digest-algorithm',
          type: 'string',
          format: '<algorithm>',
          description: 'Algorithm of the digest that the blob will have, `sha256` unless said otherwise.',
          examples: ['sha512'],
        },
      ],
      responses: [
        started,
        {
          status: 400,
          description: 'The algorithm is not supported.',
          errorCodes: ['DIGEST_INVALID'],
        },
        ...repositoryRefusals,
        noPush,
      ],
    },
    {
      name: 'Send at once',
      description: 'The body is the whole blob.',
      query: [digest],
      body: content,
      responses: [created, badContent, ...repositoryRefusals, noPush],
    },
    {
      name: 'Mount',
      description:
        'Takes over a blob from another repository, without sending it, if the client may read that one. Whatever is in the way of that, the answer is a session as if mounting had not been asked for.',
      query: [
        { ...digest, name: 'mount', description: 'Digest of the blob.' },
        {
          name: 'from',
          type: 'string',
          format: '<name>',
          description: 'The repository that has the blob; without it, the blob is looked for in this one.',
        },
      ],
      responses: [created, started, ...repositoryRefusals, noPush],
    },
  ],
}

export const uploadStatusDescription: EndpointDescription = {
  resource: session,
  summary: 'Ask how far an upload has got.',
  requests: [
    {
      description: 'How a client finds its way back after a broken connection; `_state` is not needed.',
      responses: [
        {
          status: 204,
          description: 'The session is there.',
          headers: [...whereabouts, uploadId],
        },
        ...repositoryRefusals,
        unknown,
        noPush,
      ],
    },
  ],
}

export const appendUploadDescription: EndpointDescription = {
  resource: session,
  summary: 'Send a piece of the blob.',
  requests: [
    {
      description:
        'Appends the body, of known length or chunked. If the connection breaks, what has arrived is kept.',
      headers: [contentRange],
      query: [state],
      body: content,
      responses: [
        {
          status: 202,
          description: 'The piece is there.',
          headers: [...whereabouts, uploadId],
        },
        {
          status: 400,
          description: 'The body does not have the length that `Content-Range` announces.',
          errorCodes: ['SIZE_INVALID'],
        },
        ...repositoryRefusals,
        badState,
        noPush,
        outOfStep,
      ],
    },
  ],
}

export const completeUploadDescription: EndpointDescription = {
  resource: session,
  summary: 'Complete an upload.',
  requests: [
    {
      description:
        'Appends the body, if there is one, verifies the digest of the whole, and makes it a blob.',
      headers: [contentRange],
      query: [state, digest],
      body: content,
      responses: [created, badContent, ...repositoryRefusals, badState, noPush, outOfStep],
    },
  ],
}

export const cancelUploadDescription: EndpointDescription = {
  resource: session,
  summary: 'Cancel an upload.',
  requests: [
    {
      description: 'Removes the session and what it has received.',
      query: [state],
      responses: [
        { status: 204, description: 'The session is gone.', headers: [uploadId] },
        ...repositoryRefusals,
        badState,
        noPush,
        outOfStep,
      ],
    },
  ],
}
