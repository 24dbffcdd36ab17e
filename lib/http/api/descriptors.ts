// Every route with its methods, requests and answers, and every error code, as data for templates. It is made from the
// endpoints that the router is built from and from the table of errors, hence cannot lag behind them.
import { errorCodes, type ErrorCode } from '../../oci/errors.ts'
import type { Endpoint } from '../endpoint.ts'
import type {
  BodyDescription,
  ParameterDescription,
  RequestDescription,
  ResponseDescription,
} from './description.ts'
import { pathParameters } from './parameters.ts'
import type {
  ApiDescriptors,
  BodyDescriptor,
  ErrorDescriptor,
  MethodDescriptor,
  ParameterDescriptor,
  RequestDescriptor,
  ResponseDescriptor,
  RouteDescriptor,
} from './template-data.ts'

/** Describes the API of these endpoints, in their order. A GET is described as HEAD, too, as the router takes it. */
export function describeApi(endpoints: readonly Endpoint[]): ApiDescriptors {
  const errors = describeErrors(endpoints)
  const paths = [...new Set(endpoints.map(({ path }) => path))]
  return {
    RouteDescriptors: paths.map(path => {
      const methods = endpoints.filter(endpoint => endpoint.path === path)
      return describeRoute(path, methods, errors)
    }),
    ErrorDescriptors: [...errors.values()],
  }
}

type Errors = ReadonlyMap<ErrorCode, ErrorDescriptor>

function describeErrors(endpoints: readonly Endpoint[]): Errors {
  const responses = endpoints.flatMap(({ describe }) =>
    describe.requests.flatMap(request => request.responses),
  )
  const codes = (Object.keys(errorCodes) as ErrorCode[]).toSorted()
  return new Map(
    codes.map(code => {
      const { status, message, description } = errorCodes[code]
      const named = responses
        .filter(response => response.errorCodes?.includes(code))
        .map(response => response.status)
      const all = [...new Set([status, ...named])].toSorted((a, b) => a - b)
      const error: ErrorDescriptor = {
        Value: code,
        Message: message,
        Description: description,
        HTTPStatusCode: status,
        HTTPStatusCodes: all,
      }
      return [code, error]
    }),
  )
}

function describeRoute(path: string, endpoints: readonly Endpoint[], errors: Errors): RouteDescriptor {
  const [first] = endpoints
  if (first === undefined) throw new TypeError(`Cannot describe "${path}": it has no endpoint`)
  const parameters = pathParametersOf(path)
  return {
    Name: first.name,
    Path: path.replace(
      /[*:]([a-z]+)/g,
      (_all, name: string) => `{${name}:${pathParameter(path, name).regexp}}`,
    ),
    Entity: first.describe.resource.entity,
    Description: first.describe.resource.description,
    Methods: endpoints.flatMap(endpoint => describeMethods(endpoint, parameters, errors)),
  }
}

function pathParametersOf(path: string): readonly ParameterDescriptor[] {
  return [...path.matchAll(/[*:]([a-z]+)/g)].map(([, name = '']) => {
    const parameter = pathParameter(path, name)
    return describeParameter(parameter, parameter.regexp)
  })
}

function pathParameter(path: string, name: string) {
  const found = pathParameters[name]
  if (found === undefined) throw new TypeError(`Cannot describe "${path}": nothing is said of "${name}"`)
  return found
}

function describeMethods(
  { method, describe }: Endpoint,
  parameters: readonly ParameterDescriptor[],
  errors: Errors,
): readonly MethodDescriptor[] {
  const requests = describe.requests.map(request => describeRequest(request, parameters, errors))
  const described = { Method: method, Description: describe.summary, Requests: requests }
  if (method !== 'GET') return [described]
  const head = {
    Method: 'HEAD',
    Description: 'As GET, without the body.',
    Requests: requests.map(request => ({
      ...request,
      Successes: request.Successes.map(withoutBody),
      Failures: request.Failures.map(withoutBody),
    })),
  }
  return [described, head]
}

function withoutBody(response: ResponseDescriptor): ResponseDescriptor {
  return { ...response, Body: describeBody(undefined) }
}

function describeRequest(
  { name = '', description, headers = [], query = [], body, responses }: RequestDescription,
  parameters: readonly ParameterDescriptor[],
  errors: Errors,
): RequestDescriptor {
  const all = responses.map(response => describeResponse(response, errors))
  return {
    Name: name,
    Description: description,
    Headers: headers.map(parameter => describeParameter(parameter)),
    PathParameters: parameters,
    QueryParameters: query.map(parameter => describeParameter(parameter)),
    Body: describeBody(body),
    Successes: all.filter(({ StatusCode }) => StatusCode < 400),
    Failures: all.filter(({ StatusCode }) => StatusCode >= 400),
  }
}

const errorBody: BodyDescription = {
  contentType: 'application/json',
  format: '{"errors": [{"code": "<code>", "message": "<message>", "detail": …}]}',
}

function describeResponse(
  { status, description, headers = [], body, errorCodes: codes = [] }: ResponseDescription,
  errors: Errors,
): ResponseDescriptor {
  return {
    Name: '',
    Description: description,
    StatusCode: status,
    Headers: headers.map(parameter => describeParameter(parameter)),
    Fields: [],
    Body: describeBody(body ?? (status < 400 ? undefined : errorBody)),
    ErrorCodes: codes.map(code => ({ Descriptor: errorOf(errors, code) })),
  }
}

function errorOf(errors: Errors, code: ErrorCode): ErrorDescriptor {
  const found = errors.get(code)
  if (found === undefined) throw new TypeError(`Cannot describe error "${code}": it is not in the table`)
  return found
}

function describeParameter(
  { name, type, description, format, required = false, examples = [] }: ParameterDescription,
  regexp = '',
): ParameterDescriptor {
  return {
    Name: name,
    Type: type,
    Description: description,
    Format: format,
    Regexp: regexp,
    Required: required,
    Examples: examples,
  }
}

function describeBody(body: BodyDescription | undefined): BodyDescriptor {
  return { ContentType: body?.contentType ?? '', Format: body?.format ?? '' }
}
