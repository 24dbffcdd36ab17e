// What templates get: the API as data. Its shape, and the capitals, are distribution's, so that templates written for
// that work here.
import type { ErrorCode } from '../../oci/errors.ts'

export interface ApiDescriptors {
  readonly RouteDescriptors: readonly RouteDescriptor[]
  readonly ErrorDescriptors: readonly ErrorDescriptor[]
}

export interface RouteDescriptor {
  readonly Name: string
  /** `/v2/{name:<regexp>}/tags/list`: with the grammar of each parameter. */
  readonly Path: string
  readonly Entity: string
  readonly Description: string
  readonly Methods: readonly MethodDescriptor[]
}

export interface MethodDescriptor {
  readonly Method: string
  readonly Description: string
  readonly Requests: readonly RequestDescriptor[]
}

export interface RequestDescriptor {
  readonly Name: string
  readonly Description: string
  readonly Headers: readonly ParameterDescriptor[]
  readonly PathParameters: readonly ParameterDescriptor[]
  readonly QueryParameters: readonly ParameterDescriptor[]
  readonly Body: BodyDescriptor
  readonly Successes: readonly ResponseDescriptor[]
  readonly Failures: readonly ResponseDescriptor[]
}

export interface ResponseDescriptor {
  readonly Name: string
  readonly Description: string
  readonly StatusCode: number
  readonly Headers: readonly ParameterDescriptor[]
  /** None: bodies say it themselves. */
  readonly Fields: readonly ParameterDescriptor[]
  readonly Body: BodyDescriptor
  readonly ErrorCodes: readonly { readonly Descriptor: ErrorDescriptor }[]
}

export interface ParameterDescriptor {
  readonly Name: string
  readonly Type: string
  readonly Description: string
  readonly Format: string
  readonly Regexp: string
  readonly Required: boolean
  readonly Examples: readonly string[]
}

/** Both empty where there is no body. */
export interface BodyDescriptor {
  readonly ContentType: string
  readonly Format: string
}

export interface ErrorDescriptor {
  readonly Value: ErrorCode
  readonly Message: string
  readonly Description: string
  /** The usual one. */
  readonly HTTPStatusCode: number
  /** All that the endpoints name for it, ascending. */
  readonly HTTPStatusCodes: readonly number[]
}
