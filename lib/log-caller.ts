// Which line of the source writes a log line. In the built program it is a line of the bundle.

/** `writeLine` of this file, the logger's mixin, and the two functions of pino that called it. */
const framesOfLogger = 4

/** To be called by pino's `mixin`. Takes some 10 µs. */
export function callerFields(): { readonly file?: string; readonly func?: string } {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = framesOfLogger + 1
  const { stack = '' } = new Error()
  Error.stackTraceLimit = stackTraceLimit
  const frame = stack.split('\n')[framesOfLogger + 1]?.trim() ?? ''
  const [, func, file] = /^at (?:(?:async )?(.+) \()?(.+?):\d+\)?$/.exec(frame) ?? []
  if (file === undefined) return {}
  return { file: file.replace(/^file:\/\//, ''), func: func ?? 'anonymous' }
}
