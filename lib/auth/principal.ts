// Who makes a request, as far as that has been proved.

export interface Principal {
  /** The user whose password or token was good; undefined: nobody in particular. */
  readonly name: string | undefined
  /** Common name of the subject of a client certificate that the listener has verified. */
  readonly certificate?: string | undefined
}

/** Whoever it is. */
export const anyone: Principal = { name: undefined }
