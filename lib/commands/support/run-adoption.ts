import { existsSync } from 'node:fs';
import { Presets, SingleBar } from 'cli-progress';
import type { Config } from '../../config/config.ts';
import { immutabilityOf } from '../../config/immutable-tags.ts';
import { type Key, layout, parseTagKey } from '../../model/layout.ts';
import { parseV1RepositoryName, type RepositoryName } from '../../model/names.ts';
import { mayWrite, recordLayout, refuseOnceOutdated } from '../../registry/condemned/layout-record.ts';
import type { Adoption, AdoptionFailure } from '../../registry/old-buckets/adopt.ts';
import type { AdoptionPlan } from '../../registry/old-buckets/adoption-plan.ts';
import type { TwiceQuotedObject } from '../../registry/old-buckets/twice-quoted-objects.ts';
import { assembleRegistry, type Registry } from '../../registry/registry.ts';
import { configuredStorage } from '../../storage/open.ts';
import { MiB } from '../../streams/bytes.ts';

export type AdoptOptions = {
  /** Repository names as a client writes them; an empty list means all. */
  repositories: string[];
  dryRun: boolean;
  layersAtOnce: number;
};

/**
 * Converts v1 images ahead of the first pull by a v2 client. Prints a summary, and a progress bar on a terminal.
 * @returns the number of failures
 * @throws Error if storage cannot be used, or a named repository does not exist
 */
export async function adopt(config: Config, options: AdoptOptions): Promise<number> {
  const started = performance.now();
  const only = options.repositories.map(parseV1RepositoryName);
  const { location, directory, open } = configuredStorage(config.storage);
  // Opening the storage would create the directory.
  if (directory !== undefined && !existsSync(directory)) {
    throw new Error(`there is no directory ${directory}: correct storage_path, or STORAGE_PATH`);
  }
  const storage = refuseOnceOutdated(await open());
  try {
    if (!(await mayWrite(storage)))
      throw new Error('a newer version of Stowage writes to this storage: upgrade this one');
    const registry = assembleRegistry(storage, {
      copiesLayers: config.v1Layers === 'copy',
      isImmutable: immutabilityOf(config.immutableTags),
      unpackLimits: config.unpackLimits,
    });
    const { adoption } = registry;
    const twiceQuoted = await adoption.findTwiceQuoted();
    for (const repository of only) await checkIsThere(repository, registry, twiceQuoted);
    if (await registry.catalog.isEmpty()) {
      throw new Error(`there is no repository in ${location}: correct storage_path, or STORAGE_PATH`);
    }
    if (!options.dryRun) {
      await recordLayout(storage);
      await adoption.copyTwiceQuoted(twiceQuoted);
    }
    const tagsToCome = new Set<Key>(twiceQuoted.flatMap(({ to }) => (parseTagKey(to) ? [to] : [])));
    const plan = await adoption.plan(only, ({ repository, tag }) => tagsToCome.delete(layout.tag(repository, tag)));
    try {
      console.log(summaryOf(plan, twiceQuoted.length, tagsToCome.size));
      if (options.dryRun) return 0;
      const failures = await runWithBar(adoption, plan, options);
      for (const { what, error } of failures) console.error(`${what}: ${error.message}`);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${plan.tagCount} tags, ${failures.length} failures, ${seconds} s, in ${location}`);
      return failures.length;
    } finally {
      await plan.close();
    }
  } finally {
    await storage.close();
  }
}

/** @throws Error unless the repository exists, or an object is to be copied to it */
async function checkIsThere(
  repository: RepositoryName,
  { repositories }: Registry,
  twiceQuoted: readonly TwiceQuotedObject[],
): Promise<void> {
  const folder = layout.repository(repository);
  if (twiceQuoted.some(({ to }) => to.startsWith(folder)) || (await repositories.exists(repository))) return;
  throw new Error(`there is no repository ${repository}: correct the name, or leave it out to adopt all repositories`);
}

async function runWithBar(
  adoption: Adoption,
  plan: AdoptionPlan,
  { layersAtOnce }: AdoptOptions,
): Promise<AdoptionFailure[]> {
  const format = 'reading layers {bar} {percentage}% | {value}/{total} MiB | {eta_formatted} left';
  const bar = new SingleBar({ format, noTTYOutput: true, notTTYSchedule: 10_000 }, Presets.shades_classic);
  let readBytes = 0;
  if (plan.unreadCount > 0) bar.start(inMiB(plan.unreadBytes), 0);
  try {
    return await adoption.run(plan, {
      layersAtOnce,
      onBytes: (sizeBytes) => {
        readBytes += sizeBytes;
        bar.update(inMiB(readBytes));
      },
    });
  } finally {
    bar.stop();
  }
}

/** @param furtherTags tags with a twice-quoted name, which are tags once their objects are copied: a dry run does not count them */
function summaryOf(plan: AdoptionPlan, twiceQuoted: number, furtherTags: number): string {
  const { repositoryCount, tagCount, imageCount, unreadCount, unreadBytes } = plan;
  const found = `${repositoryCount} repositories, ${tagCount} tags of v1 images, ${imageCount} images`;
  const toRead = `${unreadCount} layers to read (${inMiB(unreadBytes)} MiB)`;
  const toCopy = `${twiceQuoted} objects with a twice-quoted name to copy`;
  return `${found}; ${toRead}, ${toCopy}${furtherTags > 0 ? `, ${furtherTags} of them further tags` : ''}`;
}

function inMiB(sizeBytes: number): number {
  return Math.round(sizeBytes / MiB);
}
