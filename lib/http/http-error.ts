// A refusal whose status or headers the table in oci/errors.ts cannot know: it exists in this layer only, because only
// HTTP has a word for it (413, Allow, Content-Range of a 416).
import { errorCodes, RegistryError, type ErrorCode, type RegistryErrorOptions } from '../oci/errors.ts'

export interface HttpErrorOptions extends RegistryErrorOptions {
  /** Default: the code's own. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

export class HttpError extends RegistryError {
  override readonly name = 'HttpError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, message: string, options: HttpErrorOptions = {}) {
    super(code, message, options)
    this.status = options.status ?? errorCodes[code].status
    this.headers = options.headers ?? {}
  }
}
