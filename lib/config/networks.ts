// Networks as operators name them: an address, a CIDR block, or a word for several of them.
import { isIP } from 'node:net'
import { type z } from 'zod'
import { listOf, piece } from './schema.ts'

/** RFC 1122 and RFC 4291; RFC 1918 and RFC 4193. */
const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/** A list of networks in CIDR form; `loopback` and `private` stand for all of theirs. */
export const networks: z.ZodType<string[]> = listOf(
  piece('an address, a network such as 10.0.0.0/8, loopback or private', input => {
    if (typeof input !== 'string') return undefined
    if (Object.hasOwn(words, input.toLowerCase())) return words[input.toLowerCase()]
    return isNetwork(input) ? [input] : undefined
  }),
).transform(given => given.flat())

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
