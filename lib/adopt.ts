import { Presets, SingleBar } from 'cli-progress';
import { MiB } from './bytes.ts';
import type { Config } from './config/config.ts';
import { mayWrite } from './layout-version.ts';
import { parseV1RepositoryName } from './names.ts';
import type { Adoption, AdoptionFailure, AdoptionPlan } from './registry/adoption.ts';
import { createRegistry } from './registry/registry.ts';
import { openStorage } from './storage/open.ts';

export type AdoptOptions = {
  /** Names as a client writes them; none means all. */
  repositories: string[];
  dryRun: boolean;
  layersAtOnce: number;
};

/**
 * The command `stowage adopt`: makes v1 images ready for v2, with a bar on a terminal and a summary.
 * @returns how much could not be adopted
 * @throws Error if storage cannot be used
 */
export async function adopt(config: Config, options: AdoptOptions): Promise<number> {
  const started = performance.now();
  const only = options.repositories.map(parseV1RepositoryName);
  const storage = await openStorage(config.storage);
  try {
    if (!(await mayWrite(storage))) throw new Error('a newer Stowage writes to this storage: upgrade this one');
    const { adoption } = createRegistry(storage, { copiesLayers: config.v1Layers === 'copy' });
    const requotings = await adoption.requotings();
    if (!options.dryRun) await adoption.requote(requotings);
    const plan = await adoption.plan(only);
    console.log(summaryOf(plan, requotings.length));
    if (options.dryRun) return 0;

    const failures = await runWithBar(adoption, plan, options);
    for (const { what, error } of failures) console.error(`${what}: ${error.message}`);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${plan.tags.length} tags, ${failures.length} failures, ${seconds} s`);
    return failures.length;
  } finally {
    await storage.close();
  }
}

async function runWithBar(
  adoption: Adoption,
  plan: AdoptionPlan,
  { layersAtOnce }: AdoptOptions,
): Promise<AdoptionFailure[]> {
  const format = 'reading layers {bar} {percentage}% | {value}/{total} MiB | {eta_formatted} left';
  const bar = new SingleBar({ format, noTTYOutput: true, notTTYSchedule: 10_000 }, Presets.shades_classic);
  let readBytes = 0;
  bar.start(inMiB(bytesOf(plan)), 0);
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

function summaryOf(plan: AdoptionPlan, requoted: number): string {
  const { repositories, tags, images, unread } = plan;
  const found = `${repositories.length} repositories, ${tags.length} tags of v1 images, ${images.length} images`;
  const toRead = `${unread.length} layers to read (${inMiB(bytesOf(plan))} MiB)`;
  return `${found}; ${toRead}, ${requoted} objects to copy to the name that Stowage looks for`;
}

function bytesOf({ unread }: AdoptionPlan): number {
  return unread.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function inMiB(sizeBytes: number): number {
  return Math.round(sizeBytes / MiB);
}
