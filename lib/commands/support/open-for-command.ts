import { existsSync } from 'node:fs';
import { Background } from '../../concurrency/background.ts';
import type { Config } from '../../config/config.ts';
import { immutabilityOf } from '../../config/immutable-tags.ts';
import { usersKeyOf } from '../../config/users-key.ts';
import { createLog } from '../../model/log.ts';
import { mayWrite } from '../../registry/condemned/layout-record.ts';
import { COLLECTION_TIMES } from '../../registry/condemned/times.ts';
import { assembleRegistry, type Registry } from '../../registry/registry.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { configuredStorage } from '../../storage/open.ts';

/**
 * Opens storage for a command that runs beside servers.
 * @param options.writes the command changes tags; what follows from that is done before `close` resolves
 * @throws Error if storage cannot be used, or with `writes` a newer version writes to it
 */
export async function openForCommand(
  config: Config,
  { writes = false }: { writes?: boolean } = {},
): Promise<{ registry: Registry; storage: StorageDriver; location: string; close(): Promise<void> }> {
  const { location, directory, open } = configuredStorage(config.storage);
  // Opening the storage would create the directory.
  if (directory !== undefined && !existsSync(directory)) {
    throw new Error(`there is no directory ${directory}: correct storage_path, or STORAGE_PATH`);
  }
  const storage = await open();
  const log = createLog('warning', (line) => process.stderr.write(line));
  const background = new Background(log);
  const close = async () => {
    await background.idle();
    await storage.close();
  };
  if (writes && !(await mayWrite(storage))) {
    await close();
    throw new Error('a newer version of Stowage writes to this storage: upgrade this one');
  }
  const registry = assembleRegistry(storage, {
    copiesLayers: config.v1Layers === 'copy',
    indexChildren: config.indexChildren,
    isImmutable: immutabilityOf(config.immutableTags),
    unpackLimits: config.unpackLimits,
    retention: config.retention,
    quotas: { quotas: config.quotas, log },
    usersKey: usersKeyOf(config),
    ...(writes && { background }),
    times: { ...COLLECTION_TIMES, graceMs: config.gc.graceMs },
    v1Images: config.v1Images,
  });
  return { registry, storage, location, close };
}
