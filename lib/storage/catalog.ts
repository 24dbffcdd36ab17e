// Which repositories there are: the folders below `repositories` that have a `_manifests` folder. Others may have
// `_uploads` alone.
import type { CallOptions } from '../oci/descriptor.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'

/** Every repository, in byte order of the names. Reads one directory per name component. */
export function listRepositories(
  driver: StorageDriver,
  options?: CallOptions,
): Promise<readonly RepositoryName[]> {
  return namesWith(['_manifests'], driver, options)
}

/** Every repository, or what may become one, that has upload sessions or had. */
export function listUploadPlaces(
  driver: StorageDriver,
  options?: CallOptions,
): Promise<readonly RepositoryName[]> {
  return namesWith(['_uploads'], driver, options)
}

/** Every repository, or what may become one or was one, that links blobs or manifests. */
export async function listLinkPlaces(
  driver: StorageDriver,
  options?: CallOptions,
): Promise<readonly RepositoryName[]> {
  return namesWith(['_layers', '_manifests'], driver, options)
}

async function namesWith(
  folders: readonly ('_layers' | '_manifests' | '_uploads')[],
  driver: StorageDriver,
  options?: CallOptions,
): Promise<readonly RepositoryName[]> {
  const found = new Set<RepositoryName>()
  const visit = async (directory: StoragePath, name: string): Promise<void> => {
    for (const child of await listIfPresent(driver, directory, options)) {
      const part = baseName(child)
      if ((folders as readonly string[]).includes(part)) {
        if (isRepositoryName(name)) found.add(name)
      } else if (!part.startsWith('_')) await visit(child, name === '' ? part : `${name}/${part}`)
    }
  }
  await visit(layout.repositories, '')
  return [...found].toSorted()
}

async function listIfPresent(
  driver: StorageDriver,
  path: StoragePath,
  options?: CallOptions,
): Promise<readonly StoragePath[]> {
  return (await unlessAbsent(() => driver.list(path, options))) ?? []
}
