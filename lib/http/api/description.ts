// What an endpoint says about itself, for readers: it stands in the endpoint's record, beside what the router needs, so
// that no route is without words. Descriptions are Markdown in one paragraph.
import type { ErrorCode } from '../../oci/errors.ts'

export interface EndpointDescription {
  /** What the path names; shared by its methods. */
  readonly resource: ResourceDescription
  /** What the method does, in one sentence. */
  readonly summary: string
  /** The ways to use it; most endpoints have one. */
  readonly requests: readonly [RequestDescription, ...RequestDescription[]]
}

export interface ResourceDescription {
  /** One or two words: `Blob`. */
  readonly entity: string
  readonly description: string
}

/** The parameters of the path are not listed: they follow from it. */
export interface RequestDescription {
  /** Where there are several. */
  readonly name?: string
  readonly description: string
  readonly headers?: readonly ParameterDescription[]
  readonly query?: readonly ParameterDescription[]
  readonly body?: BodyDescription
  readonly responses: readonly ResponseDescription[]
}

export interface ParameterDescription {
  readonly name: string
  readonly type: 'string' | 'integer' | 'digest' | 'media type' | 'URL'
  /** How a value is written, as in `<digest>`. */
  readonly format: string
  readonly description: string
  /** Default: no. */
  readonly required?: boolean
  readonly examples?: readonly string[]
}

export interface BodyDescription {
  readonly contentType: string
  /** How it looks. */
  readonly format: string
}

export interface ResponseDescription {
  readonly status: number
  readonly description: string
  readonly headers?: readonly ParameterDescription[]
  /** Of a refusal: the JSON of all errors unless said otherwise. */
  readonly body?: BodyDescription
  readonly errorCodes?: readonly ErrorCode[]
}
