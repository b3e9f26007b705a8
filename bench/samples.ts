// Takes samples of each registry in turn, which is a fresh process for each measure.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measure, Sizes } from './measures.ts';
import { cpuSecondsOf, foreignShareDuring, peakMemoryMiB, quiet, resetPeakMemory } from './proc.ts';
import { type Registry, startRegistry, type Workers } from './registries.ts';
import { type BenchStorage, type Bucket, emptyStorage, folderOf, type RegistryName } from './storage.ts';

/** Samples of one registry for one measure; `values` has a list for each metric. */
export type Samples = { values: number[][]; cpuSeconds: number[]; peakMiB: number[] };

export type MeasureOptions = {
  /** Those of measures on S3 share one bucket. */
  bucket: () => Promise<Bucket>;
  /** The registries that are installed. */
  names: readonly RegistryName[];
  workers: Workers;
  sizes: Sizes;
  samples: number;
  /** Wait for an idle machine, and repeat a sample in which other processes used a larger share than this. */
  maxForeignShare: number | undefined;
  progress: (text: string) => void;
  /** Is called for a registry that cannot be measured further. */
  onFailure: (name: RegistryName, error: unknown) => void;
};

/** How often a disturbed sample is repeated before it counts all the same. */
const ATTEMPTS = 5;

/** @returns the samples of each registry that has no failure */
export async function takeSamples(measure: Measure, options: MeasureOptions): Promise<Map<RegistryName, Samples>> {
  const { samples, progress, onFailure } = options;
  const directory = await mkdtemp(join(tmpdir(), 'stowage-bench-'));
  const storage: BenchStorage =
    measure.storage === 'disk'
      ? { kind: 'disk', directory: join(directory, 'disk') }
      : { kind: 's3', bucket: await options.bucket(), redirects: measure.redirects };
  const runs = new Map<RegistryName, Run>();
  const end = async (run: Run) => {
    runs.delete(run.registry.name);
    await run.registry.stop();
    await emptyStorage(storage, run.registry.name);
  };
  const attempt = async (name: RegistryName, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      onFailure(name, error);
      const run = runs.get(name);
      if (run) await end(run);
    }
  };
  try {
    for (const name of measuredNames(measure, options)) {
      progress(`${measure.name}: starting ${name}`);
      await attempt(name, async () => {
        if (storage.kind === 'disk') await mkdir(join(storage.directory, folderOf(name)), { recursive: true });
        const workers = measure.isOfOneWorker ? 1 : options.workers;
        const registry = await startRegistry(name, { storage, directory, workers });
        const run: Run = { registry, taken: emptySamples(measure), sample: async () => [] };
        runs.set(name, run);
        run.sample = await measure.prepare(registry, options.sizes);
        await run.sample(); // warms up
      });
    }
    for (let round = 1; round <= samples; round++) {
      for (const [name, run] of runs) {
        const what = `${measure.name}: ${round} of ${samples}, ${name}`;
        progress(what);
        await attempt(name, async () => {
          if (measure.fills) await emptyStorage(storage, name);
          await takeSample(run, { ...options, progress: (text) => progress(`${what}, ${text}`) });
        });
      }
    }
    return new Map([...runs].map(([name, { taken }]) => [name, taken]));
  } finally {
    for (const run of runs.values()) await end(run);
    await rm(directory, { recursive: true, force: true });
  }
}

function measuredNames({ isOfOneWorker, peers }: Measure, { names }: MeasureOptions): readonly RegistryName[] {
  return names.filter((name) => name === 'Stowage' || (!isOfOneWorker && peers.includes(name)));
}

type Run = { registry: Registry; taken: Samples; sample: () => Promise<number[]> };

async function takeSample({ registry: { pid }, taken, sample }: Run, options: MeasureOptions): Promise<void> {
  const { maxForeignShare, progress } = options;
  for (let attempt = 1; ; attempt++) {
    if (maxForeignShare !== undefined) {
      await quiet((share) => progress(`waiting: others use ${percent(share)} of the machine`));
    }
    await resetPeakMemory(pid);
    const before = cpuSecondsOf(pid);
    const { result, foreignShare } = await foreignShareDuring(sample);
    const wasDisturbed = maxForeignShare !== undefined && foreignShare > maxForeignShare;
    if (wasDisturbed && attempt < ATTEMPTS) {
      progress(`again: others used ${percent(foreignShare)} of the machine`);
      continue;
    }
    for (const [index, value] of result.entries()) taken.values[index]?.push(value);
    taken.cpuSeconds.push(cpuSecondsOf(pid) - before);
    taken.peakMiB.push(await peakMemoryMiB(pid));
    return;
  }
}

function emptySamples({ metrics }: Measure): Samples {
  return { values: metrics.map(() => []), cpuSeconds: [], peakMiB: [] };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
