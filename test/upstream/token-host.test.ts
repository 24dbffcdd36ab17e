import t from 'tap'
import { isOwnTokenHost } from '../../lib/upstream/token-host.ts'

t.test('isOwnTokenHost rejects hosts that may be of somebody else', async t => {
  for (const [realm, registry] of [
    ['evil.example', 'registry.example.com'],
    ['registry.example.com.evil.example', 'registry.example.com'],
    ['evilexample.com', 'registry.example.com'],
    ['evil.com', 'example.com'],
    ['evil.co.uk', 'example.co.uk'],
    ['evil.github.io', 'owner.github.io'],
    ['evil.azurecr.io', 'team.azurecr.io'],
    ['auth.docker.io', 'ghcr.io'],
    ['auth.docker.io.evil.example', 'registry-1.docker.io'],
    ['9.0.0.1', '10.0.0.1'],
    ['[2001::2]', '[2001::1]'],
    ['auth.registry', 'registry'],
  ] as const) {
    t.equal(isOwnTokenHost(realm, registry), false, `${realm} for ${registry}`)
  }
})

t.test('isOwnTokenHost accepts the host itself and those of its domain', async t => {
  for (const [realm, registry] of [
    ['ghcr.io', 'ghcr.io'],
    ['auth.docker.io', 'registry-1.docker.io'],
    ['auth.docker.io', 'registry.hub.docker.com'],
    ['gitlab.com', 'registry.gitlab.com'],
    ['gitlab.example.com', 'registry.example.com'],
    ['docker-auth.elastic.co', 'docker.elastic.co'],
    ['auth.example.com', 'example.com'],
    ['login.registry.example.co.uk', 'registry.example.co.uk'],
  ] as const) {
    t.equal(isOwnTokenHost(realm, registry), true, `${realm} for ${registry}`)
  }
})
