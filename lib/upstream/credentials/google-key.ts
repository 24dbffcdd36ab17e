// The key of a Google service account: what it signs is exchanged for an access token. Source: RFC 7523 and Google's
// "Using OAuth 2.0 for Server to Server Applications". No error says anything of what is in the file.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { SignJWT } from 'jose'
import * as z from 'zod'
import type { Clock } from '../../clock.ts'

const document = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: z.url({ protocol: /^https?$/ }),
})

const scope = 'https://www.googleapis.com/auth/cloud-platform'
const assertionLifeSeconds = 3600

export interface Assertion {
  readonly assertion: string
  /** Where it is exchanged. */
  readonly url: URL
}

/** Reads the key, so that a new one is used as soon as it is there, and signs. Throws Error that names the file. */
export async function signAssertion(keyFile: string, clock: Clock): Promise<Assertion> {
  const { email, keyId, key, url } = await readKey(keyFile)
  const nowSeconds = Math.floor(clock.now() / 1000)
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) })
    .setIssuer(email)
    .setAudience(url.href)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + assertionLifeSeconds)
    .sign(key)
  return { assertion, url }
}

async function readKey(keyFile: string) {
  const text = await readFile(keyFile, 'utf8').catch((err: unknown) => failTo(keyFile, codeOf(err)))
  const parsed = document.safeParse(parseJson(text))
  if (!parsed.success) return failTo(keyFile, 'not the JSON key of a service account')
  const { client_email, private_key, private_key_id, token_uri } = parsed.data
  const key = parsePrivateKey(private_key) ?? failTo(keyFile, 'no RSA key in it')
  return { email: client_email, keyId: private_key_id, key, url: new URL(token_uri) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function parsePrivateKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem)
    return key.asymmetricKeyType === 'rsa' ? key : undefined
  } catch {
    return undefined
  }
}

function failTo(keyFile: string, reason: string): never {
  throw new Error(`Cannot use Google key "${keyFile}": ${reason}`)
}

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : 'unknown error'
}
