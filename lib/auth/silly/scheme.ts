// The scheme `silly`: whoever says anything is the user `silly`. For trying out how clients get their tokens.
import type { SillyAuthConfig } from '../../config/auth.ts'
import { bearerChallenge } from '../challenge.ts'
import type { Scheme } from '../scheme.ts'

export function createSillyScheme({ realm, service }: SillyAuthConfig): Scheme {
  return {
    identify: async () => 'silly',
    // Each action of its own: distribution's form for this scheme.
    challenge(_credentials, wanted) {
      const scope = wanted.map(({ type, name, action }) => `${type}:${name}:${action}`).join(' ')
      return bearerChallenge({ realm, service, scope })
    },
  }
}
