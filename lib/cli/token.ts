// `registry token`: an access token, signed with the keys that a registry keeps in a directory. Whoever may read them may
// do anything there, so no rule is asked.
import { openKeyDirectory } from '../auth/token-service/key-store.ts'
import { KeyRing } from '../auth/token-service/key-ring.ts'
import { parseScopes } from '../auth/token-service/scope.ts'
import { ringSettings } from '../auth/token-service/token-service.ts'
import { createTokens } from '../auth/token-service/tokens.ts'
import { systemClock } from '../clock.ts'
import type { TokenServiceConfig } from '../config/auth.ts'
import { ConfigError } from '../config/config-error.ts'
import { parseDuration } from '../config/units.ts'
import { createLogger, describeError } from '../log.ts'
import { readConfiguration } from './configuration.ts'
import type { Io } from './io.ts'

export interface TokenOptions {
  readonly config?: string | undefined
  readonly user: string
  readonly scope: readonly string[]
  readonly expiry?: string | undefined
}

/** Settles with the exit code. */
export async function printToken(options: TokenOptions, io: Io): Promise<number> {
  try {
    io.stdout.write(`${await signToken(options, io)}\n`)
    return 0
  } catch (err) {
    io.stderr.write(`${err instanceof ConfigError ? err.message : describeError(err)}\n`)
    return 1
  }
}

async function signToken({ config: file, user, scope, expiry }: TokenOptions, io: Io): Promise<string> {
  const { config } = await readConfiguration(file, io)
  const service = config.tokenservice
  if (service?.keys === undefined)
    throw new Error('Cannot sign token: the configuration has no tokenservice.keys')
  const access = parseScopes(scope)
  const asked = scope.flatMap(text => text.split(' ')).filter(text => text !== '')
  const unknown = asked.find(text => parseScopes([text]).length === 0)
  if (unknown !== undefined)
    throw new Error(`Cannot read scope "${unknown}": expected one such as repository:team/app:pull,push`)
  const lifeMs = expiry === undefined ? service.expiryMs : parseDuration(expiry)
  if (lifeMs === undefined || lifeMs <= 0)
    throw new Error(`Cannot read expiry "${expiry}": expected a duration such as 10m`)
  const tokens = createTokens(service, {
    ring: await openRing(service, service.keys, io),
    clock: systemClock,
  })
  return (await tokens.signAccess(user, access, lifeMs)).token
}

/** Makes no keys: they would belong to whoever runs the command, and the registry might not be able to read them. */
async function openRing(service: TokenServiceConfig, keys: string, io: Io) {
  const write = (line: string) => void io.stderr.write(line)
  const logger = createLogger({ level: 'warn', formatter: 'text', fields: {}, write })
  const store = await openKeyDirectory(keys, logger)
  return KeyRing.openToSign({ ...ringSettings(service), store, clock: systemClock, logger })
}
