// Opens the registry of a configuration, for the Node server and the Lambda functions.
import type { Config } from '../config/config.ts';
import { usersKeyOf } from '../config/users-key.ts';
import type { Log } from '../model/log.ts';
import { assembleRegistry, type Registry } from '../registry/registry.ts';
import { type OpenReads, type OpenReadsOptions, type OpenStorage, openReads } from './open-reads.ts';

export type OpenRegistry = OpenStorage & { registry: Registry };

/**
 * Opens storage and what lies in it. `storage.close` ends it.
 * @throws Error if storage cannot be used
 */
export async function openRegistry(config: Config, options: OpenReadsOptions): Promise<OpenRegistry> {
  return completeRegistry(config, await openReads(config, options), options.log);
}

/** The whole registry, of which a part has been opened. */
export function completeRegistry(
  config: Config,
  { reads, options, storage, isReadOnly }: OpenReads,
  log: Log,
): OpenRegistry {
  const registry = assembleRegistry(
    storage,
    {
      ...options,
      copiesLayers: config.v1Layers === 'copy',
      projectsLazily: config.v1Projection === 'lazy',
      indexChildren: config.indexChildren,
      unpackLimits: config.unpackLimits,
      v1Images: config.v1Images,
      quotas: { quotas: config.quotas, log },
      usersKey: usersKeyOf(config),
    },
    reads,
  );
  return { registry, storage, isReadOnly };
}
