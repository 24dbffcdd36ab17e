// The keys by which an upstream's credentials are configured: in the file, in other files, or by whom to ask for them.
import * as z from 'zod'
import type { CredentialConfig } from './proxy-config.ts'
import { duration, httpUrl, optional, orNothing, ours, secret, section, text, traits } from './schema.ts'

/** A map that says something by being there, be it empty, or `true`. */
function present<S extends z.core.$ZodLooseShape>(shape: S) {
  const fill = (input: unknown) => (input === null || input === '' || input === 'true' ? {} : input)
  return z
    .preprocess(fill, z.strictObject(shape).optional())
    .register(traits, { ours: true, shorthand: 'true: with nothing but defaults' })
}

export const credentialKeys = {
  username: orNothing(text),
  password: orNothing(secret),
  usernamefile: ours(orNothing(text)),
  passwordfile: ours(orNothing(text)),
  exec: section({ command: orNothing(text), lifetime: optional(duration, undefined) }),
  ecr: present({
    region: orNothing(text),
    accesskeyid: orNothing(text),
    secretaccesskey: orNothing(secret),
    endpoint: orNothing(httpUrl),
  }),
  google: present({ keyfile: orNothing(text) }),
}

export type CredentialInput = z.output<z.ZodObject<typeof credentialKeys>>

/** As distribution has it, a user name or a password alone is none. */
export function credentialOf(input: CredentialInput, prefix?: string): CredentialConfig | undefined {
  const { username, password, usernamefile, passwordfile, exec, ecr, google } = input
  if (exec.command !== undefined) {
    return { prefix, kind: 'helper', command: exec.command, lifetimeMs: exec.lifetime }
  }
  if (ecr !== undefined) {
    const { region, accesskeyid, secretaccesskey, endpoint } = ecr
    return {
      prefix,
      kind: 'ecr',
      region,
      accessKeyId: accesskeyid,
      secretAccessKey: secretaccesskey,
      endpoint: endpoint?.href,
    }
  }
  if (google !== undefined) return { prefix, kind: 'google', keyFile: google.keyfile }
  if (passwordfile !== undefined && (username ?? usernamefile) !== undefined) {
    return { prefix, kind: 'file', username, usernameFile: usernamefile, passwordFile: passwordfile }
  }
  if (username === undefined || password === undefined) return undefined
  return { prefix, kind: 'static', username, password }
}

/** Those keys, out of more. */
export function credentialsOnly(input: CredentialInput): CredentialInput {
  const { username, password, usernamefile, passwordfile, exec, ecr, google } = input
  return { username, password, usernamefile, passwordfile, exec, ecr, google }
}
