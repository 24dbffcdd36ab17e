// The table of schemes: from the sections `auth` and `access` to whoever lets requests in.
import type { Clock } from '../clock.ts'
import type { AccessRuleConfig, AuthConfig } from '../config/auth.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { AccessController } from './access-controller.ts'
import { createAccessRules, type AccessRules } from './access-rules.ts'
import { createHtpasswdScheme } from './htpasswd/scheme.ts'
import { HtpasswdVerifier } from './htpasswd/verifier.ts'
import { allowEverything } from './none.ts'
import type { PasswordVerifier } from './passwords.ts'
import { createRuledController } from './scheme.ts'
import { createSillyScheme } from './silly/scheme.ts'
import { createTokenController } from './token/scheme.ts'

export interface SchemeDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface AccessControl {
  readonly controller: AccessController
  readonly rules: AccessRules
  /** Of the scheme that has passwords. */
  readonly passwords?: PasswordVerifier | undefined
  close(): Promise<void>
}

/** Rejects where a file of the scheme cannot be read. Without a scheme and without rules everything is allowed. */
export async function createAccessController(
  auth: AuthConfig | undefined,
  access: readonly AccessRuleConfig[] | undefined,
  deps: SchemeDeps,
): Promise<AccessControl> {
  const rules = createAccessRules(access)
  const close = async () => {}
  switch (auth?.scheme) {
    case undefined: {
      const controller =
        access === undefined ? allowEverything : createRuledController(undefined, { ...deps, rules })
      return { controller, rules, close }
    }
    case 'silly':
      return { controller: createRuledController(createSillyScheme(auth), { ...deps, rules }), rules, close }
    case 'htpasswd': {
      const passwords = await HtpasswdVerifier.open(auth.path, deps)
      const scheme = createHtpasswdScheme(auth, { ...deps, passwords })
      const controller = createRuledController(scheme, { ...deps, rules })
      return { controller, rules, passwords, close: () => passwords.close() }
    }
    case 'token': {
      const controller = await createTokenController(auth, { ...deps, rules: access && rules })
      return { controller, rules, close }
    }
  }
}
