// From the sections of the configuration to a running token service, over the users that `auth.htpasswd` has.
import type { TokenServiceConfig } from '../../config/auth.ts'
import type { AccessController } from '../access-controller.ts'
import type { AccessControl, SchemeDeps } from '../schemes.ts'
import { createTokenServiceController } from './controller.ts'
import { createRealm, type RealmSettings } from './realm.ts'
import { createTokenService, type TokenService } from './token-service.ts'

export interface OpenTokenService {
  readonly tokenService: TokenService
  /** Takes the place of the scheme's own: it takes tokens and passwords. */
  readonly controller: AccessController
}

/** undefined where there is no section. Rejects if there are no users, or if the keys cannot be read. */
export async function openTokenService(
  config: TokenServiceConfig | undefined,
  { passwords, rules }: Pick<AccessControl, 'passwords' | 'rules'>,
  { realm, ...deps }: SchemeDeps & { readonly realm: RealmSettings },
): Promise<OpenTokenService | undefined> {
  if (config === undefined) return undefined
  if (passwords === undefined)
    throw new Error('Cannot start token service: it needs the users of auth.htpasswd')
  const tokenService = await createTokenService(config, { ...deps, passwords, rules })
  const realmOf = createRealm(config, realm)
  const controller = createTokenServiceController({ ...deps, tokenService, passwords, rules, realmOf })
  return { tokenService, controller }
}
