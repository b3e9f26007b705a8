import { existsSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { immutabilityOf } from '../../config/immutable-tags.ts';
import { assembleRegistry, type Registry } from '../../registry/registry.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { configuredStorage } from '../../storage/open.ts';

/**
 * Opens storage for a command that runs beside servers.
 * @throws Error if storage cannot be used
 */
export async function openForCommand(
  config: Config,
): Promise<{ registry: Registry; storage: StorageDriver; location: string; close(): Promise<void> }> {
  const { location, directory, open } = configuredStorage(config.storage);
  // Opening the storage would create the directory.
  if (directory !== undefined && !existsSync(directory)) {
    throw new Error(`there is no directory ${directory}: correct storage_path, or STORAGE_PATH`);
  }
  const storage = await open();
  const registry = assembleRegistry(storage, {
    copiesLayers: config.v1Layers === 'copy',
    indexChildren: config.indexChildren,
    isImmutable: immutabilityOf(config.immutableTags),
    unpackLimits: config.unpackLimits,
  });
  return { registry, storage, location, close: () => storage.close() };
}
