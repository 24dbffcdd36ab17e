// Which repositories there are: the folders below `repositories` that have a `_manifests` folder.
import type { CallOptions } from '../oci/descriptor.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import { PathNotFoundError, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { baseName, layout } from './layout.ts'

/** Every repository, in byte order of the names. Reads one directory per name component. */
export async function listRepositories(
  driver: StorageDriver,
  options?: CallOptions,
): Promise<readonly RepositoryName[]> {
  const found: RepositoryName[] = []
  const visit = async (directory: StoragePath, name: string): Promise<void> => {
    for (const child of await listIfPresent(driver, directory, options)) {
      const part = baseName(child)
      if (part === '_manifests') {
        if (isRepositoryName(name)) found.push(name)
      } else if (!part.startsWith('_')) await visit(child, name === '' ? part : `${name}/${part}`)
    }
  }
  await visit(layout.repositories, '')
  return found.toSorted()
}

async function listIfPresent(
  driver: StorageDriver,
  path: StoragePath,
  options?: CallOptions,
): Promise<readonly StoragePath[]> {
  try {
    return await driver.list(path, options)
  } catch (err) {
    if (err instanceof PathNotFoundError) return []
    throw err
  }
}
